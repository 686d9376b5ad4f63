//! Many requests: connections are kept, several servers share them, and memory does not grow with their number.

use std::ops::ControlFlow;

use cdpo_sample::Sampler as _;
use cdpo_sample::server::ServerSampler;

use crate::stub::{Stub, Trick};
use crate::tokenizer::{EOS, tokenizer};
use crate::{params, requests, settings};

/// Bytes of memory that this process has in use, where the system says.
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn ten_thousand_requests_over_three_servers_in_flat_memory() {
    let faulty = |n: usize, _: &serde_json::Value| match n % 50 {
        7 => Trick::Reset,
        23 => Trick::Status("503 Service Unavailable", "retry-after: 0\r\n", ""),
        41 => Trick::Garbage,
        _ => Trick::None,
    };
    let stubs = [Stub::good(), Stub::good(), Stub::with(faulty)];
    let mut many = settings("vllm", &[&stubs[0], &stubs[1], &stubs[2]]);
    many.in_flight = 32;
    many.give_up = 60.0;
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(many, &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS]);
    let watch = sampler.watch();
    let (mut done, mut early, mut seen) = (0u32, None, std::collections::HashSet::new());
    let flow = sampler.sample(
        &requests(500, 20),
        &params(),
        &mut |request, sample, _| {
            assert!(seen.insert((request.problem_id.clone(), sample)));
            done += 1;
            if done == 2000 {
                early = resident();
            }
            ControlFlow::Continue(())
        },
        &mut |progress| {
            assert!(progress.active <= 96);
            ControlFlow::Continue(())
        },
    );
    assert!(flow.unwrap().is_continue());
    assert_eq!(done, 10_000);
    if let (Some(early), Some(late)) = (early, resident()) {
        assert!(
            late < early + (24 << 20),
            "{early} bytes at 2000, {late} at the end"
        );
    }
    for stub in &stubs[..2] {
        // A connection for each request that may be under way, kept; and few more.
        assert!(stub.connections() <= 80, "{}", stub.connections());
        assert!(stub.asked() > 2000 && stub.most_active() <= 32);
    }
    let servers = watch.servers();
    assert_eq!(servers.len(), 3);
    assert_eq!(
        servers.iter().map(|server| server.answered).sum::<u64>(),
        10_000
    );
    assert!(servers.iter().all(|server| server.tokens > 0));
}
