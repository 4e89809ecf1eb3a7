//! Random calls to an actor, with arguments that come late and in any order, against the same calls made
//! one after another on the plain value.

use proptest::prelude::*;
use trefoil_tasks::{ActorSession, Engine, Error, ErrorKind, Ref, actor, task};

#[derive(Clone, Default)]
struct Sum(i64);

#[actor]
impl Sum {
    pub fn add(&mut self, by: i64) -> i64 {
        self.0 = self.0.wrapping_add(by);
        self.0
    }

    pub async fn add_later(&mut self, by: &i64) -> i64 {
        let before = self.0;
        tokio::task::yield_now().await;
        self.0 = before.wrapping_add(*by);
        self.0
    }

    pub fn plus(&self, other: i64) -> i64 {
        self.0.wrapping_add(other)
    }

    pub async fn plus_later(&self, other: &i64) -> i64 {
        tokio::task::yield_now().await;
        self.0.wrapping_add(*other)
    }

    pub fn check(&mut self, by: i64) -> Result<i64, String> {
        if by % 2 == 0 { Ok(self.add(by)) } else { Err(format!("{by} is odd")) }
    }
}

#[task]
fn same(n: i64) -> i64 {
    n
}

#[derive(Clone, Copy, Debug)]
enum Method {
    Add,
    AddLater,
    Plus,
    PlusLater,
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Value,
    Call,
    /// Fulfilled after all calls were made; the number decides the order.
    Late(u32),
    Lost,
}

fn model(calls: &[(Method, Form, i64)]) -> Vec<Option<i64>> {
    let mut sum = Sum::default();
    calls
        .iter()
        .map(|&(method, form, n)| match (form, method) {
            (Form::Lost, _) => None,
            (_, Method::Add | Method::AddLater) => Some(sum.add(n)),
            (_, Method::Plus | Method::PlusLater) => Some(sum.plus(n)),
            (_, Method::Check) => sum.check(n).ok(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn calls_give_what_the_plain_value_gives(
        calls in prop::collection::vec(
            (
                prop_oneof![
                    3 => Just(Method::Add), 2 => Just(Method::AddLater), 2 => Just(Method::Plus),
                    3 => Just(Method::PlusLater), 1 => Just(Method::Check),
                ],
                prop_oneof![
                    4 => Just(Form::Value), 1 => Just(Form::Call), 3 => any::<u32>().prop_map(Form::Late),
                    1 => Just(Form::Lost),
                ],
                any::<i64>(),
            ),
            1..40,
        ),
        limit in 1_usize..4,
    ) {
        thread_local! { static ENGINE: Engine = crate::engine(); }
        let engine = ENGINE.with(Engine::clone);
        let sum = engine.actor(Sum::default()).concurrency(limit).spawn().unwrap();
        let mut late = Vec::new();
        let mut answers = Vec::new();
        for &(method, form, n) in &calls {
            let argument = match form {
                Form::Value => Ref::ready(n),
                Form::Call => engine.spawn(same(n)),
                Form::Lost => Ref::failed(Error::new(ErrorKind::DataLost, "test", "lost")),
                Form::Late(order) => {
                    let (promise, argument) = Ref::promise("late");
                    late.push((order, promise, n));
                    argument
                }
            };
            answers.push(match method {
                Method::Add => sum.add(argument),
                Method::AddLater => sum.add_later(argument),
                Method::Plus => sum.plus(argument),
                Method::PlusLater => sum.plus_later(argument),
                Method::Check => sum.check(argument),
            });
        }
        drop(sum);
        late.sort_by_key(|(order, ..)| *order);
        for (_, promise, n) in late {
            promise.fulfil(Ok(n));
        }
        let got: Vec<Option<i64>> = answers.iter().map(|answer| answer.get().ok()).collect();
        prop_assert_eq!(got, model(&calls));
    }
}
