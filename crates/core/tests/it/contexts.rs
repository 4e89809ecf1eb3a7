//! An engine works, and can be dropped, wherever the caller is.

use trefoil_core::Engine;

use crate::engine;

fn work(engine: &Engine) {
    let r = engine.spawn_fn(|| 40);
    let s = engine.map([r], |x| x + 2).remove(0);
    assert_eq!(s.get().unwrap(), 42);
    assert_eq!(engine.block_on(async { 1 + engine.spawn_fn(|| 1).await.unwrap() }), 2);
    assert_eq!(engine.block_on(engine.on_cpu(async { 3 })).unwrap(), 3);
}

async fn work_async(engine: &Engine) {
    assert_eq!(engine.spawn_fn(|| 40).await.unwrap(), 40);
    assert_eq!(engine.on_cpu(async { 3 }).await.unwrap(), 3);
    let refs: Vec<_> = (0..3).map(|i| engine.spawn_fn(move || i)).collect();
    let timeout = Some(std::time::Duration::from_secs(60));
    assert_eq!(engine.wait(&refs, 3, timeout).await.unwrap().0.len(), 3);
}

#[test]
fn plain_threads() {
    let engine = engine(2);
    work(&engine);
    std::thread::spawn(move || work(&engine)).join().unwrap();
}

#[test]
fn inside_tokio_of_both_kinds() {
    for threads in [0, 2] {
        let runtime = match threads {
            0 => tokio::runtime::Builder::new_current_thread().build().unwrap(),
            n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).build().unwrap(),
        };
        runtime.block_on(async {
            let engine = engine(2);
            work_async(&engine).await;
            work(&engine); // blocking inside a foreign runtime holds its thread, nothing else
            drop(engine);
        });
        runtime.block_on(async {
            let task = tokio::task::spawn_blocking(|| {
                let engine = engine(1);
                work(&engine);
            });
            task.await.unwrap();
        });
    }
}

#[test]
fn inside_another_executor() {
    futures::executor::block_on(async {
        let engine = engine(2);
        work_async(&engine).await;
        drop(engine);
    });
}

#[test]
fn inside_its_own_threads() {
    let engine = engine(2);
    let inner = engine.clone();
    engine.spawn_fn(move || work(&inner)).get().unwrap();
    let inner = engine.clone();
    engine
        .spawn_async(async move {
            work(&inner);
            Ok(())
        })
        .get()
        .unwrap();
    let inner = engine.clone();
    let r = engine.spawn_async(async move {
        work_async(&inner).await;
        Ok(())
    });
    r.get().unwrap();
    let (inner, handle) = (engine.clone(), engine.control().clone());
    engine.block_on(handle.spawn(async move { work(&inner) })).unwrap();
}

#[test]
fn the_last_handle_may_be_dropped_inside_a_task() {
    let engine = engine(2);
    let (send, receive) = std::sync::mpsc::channel();
    let inner = engine.clone();
    let r = engine.spawn_fn(move || {
        let _: () = receive.recv().unwrap();
        drop(inner);
        7
    });
    drop(engine);
    send.send(()).unwrap();
    assert_eq!(r.get().unwrap(), 7);
}
