//! Tasks and actors by name, with encoded arguments.

use trefoil_tasks::{ActorSession, ErrorKind, actor, registry, task};

use crate::engine;

#[task]
fn scaled(xs: &[f64], by: f64) -> Vec<f64> {
    xs.iter().map(|x| x * by).collect()
}

#[task(name = "tests/join")]
async fn join(words: Vec<String>, with: &str) -> Result<String, std::fmt::Error> {
    if words.is_empty() { Err(std::fmt::Error) } else { Ok(words.join(with)) }
}

mod twins {
    #[trefoil::task(name = "tests/twin")]
    pub fn first() {}
    #[trefoil::task(name = "tests/twin")]
    pub fn second() {}
}

struct Total(i64);

#[actor(name = "tests/total")]
impl Total {
    pub fn add(&mut self, by: i64) -> i64 {
        self.0 += by;
        self.0
    }
    pub fn is_above(&self, limit: &i64) -> bool {
        self.0 > *limit
    }
}

struct Other;

#[actor]
impl Other {
    pub fn ping(&self) {}
}

#[test]
fn run_by_name_gives_what_the_call_gives() {
    let engine = engine();
    let name = "it::registry::scaled";
    assert_eq!(scaled::NAME, name);
    let entry = registry::lookup(name).unwrap();
    assert_eq!((entry.name(), entry.signature()), (name, "fn scaled(xs: &[f64], by: f64) -> Vec<f64>"));
    let arguments = registry::encode(&(vec![1.0, 2.5], 2.0)).unwrap();
    let bytes = registry::run_by_name(&engine, name, arguments).get().unwrap();
    assert_eq!(
        registry::decode::<Vec<f64>>(&bytes).unwrap(),
        engine.spawn(scaled([1.0, 2.5], 2.0)).get().unwrap()
    );

    let arguments = registry::encode(&(vec!["a", "b"], "-")).unwrap();
    let bytes = registry::run_by_name(&engine, "tests/join", arguments).get().unwrap();
    assert_eq!(registry::decode::<String>(&bytes).unwrap(), "a-b");
}

#[test]
fn failures_by_name() {
    let engine = engine();
    let check = |name: &str, arguments: Vec<u8>, kind: ErrorKind, text: &str| {
        let error = registry::run_by_name(&engine, name, arguments).get().unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    };
    check("tests/joim", vec![], ErrorKind::NotFound, "did you mean `tests/join`?");
    check("tests/join", vec![], ErrorKind::MalformedData, "decode its arguments");
    let too_long = registry::encode(&(vec!["a"], "-", 7_i64)).unwrap();
    check("tests/join", too_long, ErrorKind::MalformedData, "1 bytes are left");
    let empty = registry::encode(&(Vec::<String>::new(), "-")).unwrap();
    check("tests/join", empty, ErrorKind::User, "tests/join");
    check("tests/twin", vec![], ErrorKind::AlreadyExists, "two tasks are registered as `tests/twin`");
    assert_eq!(registry::check().unwrap_err().kind(), ErrorKind::AlreadyExists);
    twins::first::run();
    twins::second::run();
    let _ = (twins::first(), twins::second());
}

#[test]
fn actor_methods_by_name() {
    let engine = engine();
    let total = engine.actor(Total(1)).spawn().unwrap();
    let entry = registry::lookup_actor("tests/total").unwrap();
    let names: Vec<&str> = entry.methods().iter().map(|method| method.name()).collect();
    assert_eq!(names, ["add", "is_above"]);
    assert_eq!(entry.methods()[0].signature(), "fn add(&mut self, by: i64) -> i64");
    let run = |method: &str, arguments: Vec<u8>| {
        let answer = entry.method(method).unwrap().call(&total, &arguments).unwrap();
        engine.block_on(answer).unwrap()
    };
    let sum = run("add", registry::encode(&(41_i64,)).unwrap());
    assert_eq!(registry::decode::<i64>(&sum).unwrap(), 42);
    let above = run("is_above", registry::encode(&(41_i64,)).unwrap());
    assert!(registry::decode::<bool>(&above).unwrap());

    assert_eq!(entry.method("ad").err().unwrap().help(), Some("did you mean `add`?"));
    let other = engine.actor(Other).spawn().unwrap();
    other.ping().get().unwrap();
    let wrong = entry.method("add").unwrap().call(&other, &[]).err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::TypeMismatch);
}
