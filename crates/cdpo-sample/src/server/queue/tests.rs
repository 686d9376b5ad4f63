#![allow(clippy::unwrap_used)]
use super::*;

fn job(sample: u32) -> Job {
    Job {
        request: 0,
        sample,
        prompt: vec![1],
        text: String::new(),
        most: 4,
        seed: 0,
        tries: 0,
        tokenless: 0,
    }
}

/// A queue whose servers have all said what they are.
fn queue(servers: usize, in_flight: usize, now: Instant) -> Queue {
    let mut queue = Queue::new(servers, in_flight, 2, now, 7);
    for _ in 0..servers {
        let Next::Greet { at } = queue.next(now) else {
            panic!("a server is asked what it is first")
        };
        queue.greeted(at);
    }
    queue
}

fn asked(queue: &mut Queue, now: Instant) -> Option<(usize, Job, u64)> {
    match queue.next(now) {
        Next::Ask { at, job, round } => Some((at, job, round)),
        Next::Greet { .. } | Next::Wait(_) => None,
    }
}

#[test]
fn the_server_with_the_shortest_queue_is_asked() {
    let now = Instant::now();
    let mut queue = queue(3, 2, now);
    (0..7).for_each(|sample| queue.push(job(sample), now));
    let mut asked_of = [0; 3];
    for _ in 0..6 {
        asked_of[asked(&mut queue, now).unwrap().0] += 1;
    }
    assert_eq!(asked_of, [2, 2, 2]);
    // All have as many as they may.
    assert!(matches!(queue.next(now), Next::Wait(None)));
    queue.answered(1, 9);
    assert_eq!(asked(&mut queue, now).unwrap().0, 1);
    assert_eq!(queue.active(), 6);
}

#[test]
fn a_sample_that_a_server_failed_on_goes_to_another() {
    let now = Instant::now();
    let mut queue = queue(2, 4, now);
    queue.push(job(0), now);
    let (at, job, round) = asked(&mut queue, now).unwrap();
    let fault = Fault::Away("reset".into());
    assert_eq!(queue.failed(at, job, round, &fault, now), None);
    let (other, job, _) = asked(&mut queue, now).unwrap();
    assert_ne!(other, at);
    assert_eq!(job.tries, 0, "a server that is away costs no try");
}

#[test]
fn a_server_that_was_away_is_left_alone_then_asked_what_it_is_then_tried_alone() {
    let now = Instant::now();
    let mut queue = queue(1, 4, now);
    (0..4).for_each(|sample| queue.push(job(sample), now));
    let (at, first, round) = asked(&mut queue, now).unwrap();
    let (_, second, _) = asked(&mut queue, now).unwrap();
    let fault = Fault::Away("refused".into());
    queue.failed(at, first, round, &fault, now);
    // The second failure is of the same time, and doubles nothing.
    queue.failed(at, second, round, &fault, now);
    let Next::Wait(Some(until)) = queue.next(now) else {
        panic!("it is left alone")
    };
    assert!(until - now <= FIRST_PAUSE && until - now >= FIRST_PAUSE / 2);
    assert!(matches!(queue.next(until), Next::Greet { at: 0 }));
    queue.greeted(0);
    assert!(asked(&mut queue, until).is_some());
    assert!(asked(&mut queue, until).is_none(), "one request alone");
    queue.answered(0, 1);
    assert!(asked(&mut queue, until).is_some() && asked(&mut queue, until).is_some());
}

#[test]
fn pauses_double_up_to_a_bound_and_a_server_may_name_its_own() {
    let now = Instant::now();
    let mut queue = queue(1, 4, now);
    let fault = Fault::Away("refused".into());
    let mut at = now;
    for failures in 1..12u32 {
        queue.not_greeted(0, &fault, at);
        let Next::Wait(Some(until)) = queue.next(at) else {
            panic!("it is left alone")
        };
        let whole = (FIRST_PAUSE * 2u32.pow(failures - 1)).min(LONGEST_PAUSE);
        assert!(until - at <= whole && until - at >= whole / 2, "{failures}");
        at = until;
        assert!(matches!(queue.next(at), Next::Greet { .. }));
    }
    let wait = Duration::from_secs(40);
    let mut queue = self::queue(1, 4, now);
    queue.push(job(0), now);
    let (server, job, round) = asked(&mut queue, now).unwrap();
    queue.failed(
        server,
        job,
        round,
        &Fault::Busy("429".into(), Some(wait)),
        now,
    );
    let Next::Wait(Some(until)) = queue.next(now) else {
        panic!("it is left alone")
    };
    assert!(until - now >= wait && until - now <= wait + FIRST_PAUSE);
}

#[test]
fn wrong_answers_are_counted_by_sample_and_by_server() {
    let now = Instant::now();
    let mut queue = queue(1, 4, now);
    let fault = Fault::Wrong("no JSON".into());
    queue.push(job(0), now);
    let mut at = now;
    for tries in 1..=2 {
        let (server, job, round) = asked(&mut queue, at).unwrap();
        assert_eq!(queue.failed(server, job, round, &fault, at), None);
        assert_eq!(queue.gone(at), None, "it is there: {tries}");
        at += LONGEST_PAUSE;
    }
    let (server, job, round) = asked(&mut queue, at).unwrap();
    let given_up = queue.failed(server, job, round, &fault, at).unwrap();
    assert_eq!(given_up.tries, 3);
}

#[test]
fn servers_are_gone_when_all_have_failed_and_none_has_answered_since() {
    let now = Instant::now();
    let mut queue = queue(2, 4, now);
    let fault = Fault::Away("refused".into());
    let later = now + Duration::from_secs(9);
    queue.not_greeted(0, &fault, later);
    assert_eq!(queue.gone(later), None);
    queue.not_greeted(1, &fault, later);
    queue.not_greeted(0, &fault, later + Duration::from_secs(3));
    assert_eq!(
        queue.gone(later + Duration::from_secs(4)),
        Some(Duration::from_secs(4))
    );
    let urls = ["http://a".to_owned(), "http://b".to_owned()];
    let status = queue.status(&urls);
    assert_eq!(status[1].away.as_deref(), Some("refused"));
}
