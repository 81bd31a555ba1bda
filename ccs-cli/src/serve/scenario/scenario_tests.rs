//! What a scenario decides.

use super::*;

fn scenario(text: &str) -> Scenario {
    let mut scenario = Scenario::new(File::parse(text).unwrap());
    scenario.login(Time::ZERO);
    scenario
}

fn at(seconds: f64) -> Time {
    Time::ZERO + Duration::from_secs_f64(seconds)
}

/// The answers to so many messages for a token, `-` where no rule says one.
fn answers(scenario: &mut Scenario, now: Time, token: &str, messages: usize) -> Vec<String> {
    let answer = |_| match scenario.fate(now, &token.into()) {
        Some(Fate {
            answer: Some(Answer::Nack(code)),
            ..
        }) => code.to_string(),
        Some(Fate {
            answer: Some(answer),
            ..
        }) => format!("{answer:?}"),
        Some(Fate { answer: None, .. }) => "late".to_owned(),
        None => "-".to_owned(),
    };
    (0..messages).map(answer).collect()
}

#[test]
fn a_rule_is_for_its_tokens_its_time_and_its_number_of_times() {
    let mut scenario = scenario(
        r#"
        [[rule]]
        to = "phone-*"
        from = 1
        until = 2.5
        times = 2
        answer = "SERVICE_UNAVAILABLE"
        [[rule]]
        to = "phone-1"
        answer = "silence"
        "#,
    );
    assert_eq!(answers(&mut scenario, at(0.5), "phone-2", 1), ["-"]);
    assert_eq!(
        answers(&mut scenario, at(1.0), "phone-2", 3),
        ["SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE", "-"]
    );
    assert_eq!(
        answers(&mut scenario, at(2.4), "phone-1", 3),
        ["SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE", "Silence"]
    );
    assert_eq!(answers(&mut scenario, at(2.5), "phone-3", 1), ["-"]);
    assert_eq!(answers(&mut scenario, at(1.0), "tablet-1", 1), ["-"]);
}

#[test]
fn a_burst_is_what_comes_above_so_many_in_a_second() {
    let mut scenario = scenario(
        r#"
        [[rule]]
        above_per_second = 2
        answer = "DEVICE_MESSAGE_RATE_EXCEEDED"
        "#,
    );
    let limited = ["-", "-", "DEVICE_MESSAGE_RATE_EXCEEDED"];
    assert_eq!(answers(&mut scenario, at(0.1), "a", 3), limited);
    assert_eq!(answers(&mut scenario, at(0.9), "b", 1), ["-"]);
    assert_eq!(answers(&mut scenario, at(1.0), "a", 3), limited);
}

#[test]
fn a_seed_decides_by_token_and_number_whatever_lies_between() {
    let text = |seed: u64| {
        format!(
            r#"
            seed = {seed}
            [[rule]]
            percent = 40
            delay = [0.1, 0.9]
            answer = "INTERNAL_SERVER_ERROR"
            "#
        )
    };
    let alone = answers(&mut scenario(&text(1)), at(0.0), "a", 200);
    let hits = alone.iter().filter(|answer| *answer != "-").count();
    assert!((50..110).contains(&hits), "{hits} of 200 is not 40 percent");
    let mut mixed = scenario(&text(1));
    let between: Vec<_> = (0..200)
        .flat_map(|_| {
            answers(&mut mixed, at(0.0), "b", 2);
            answers(&mut mixed, at(0.0), "a", 1)
        })
        .collect();
    assert_eq!(alone, between);
    assert_ne!(alone, answers(&mut scenario(&text(2)), at(0.0), "a", 200));

    let mut delayed = scenario(&text(1));
    let delays: Vec<_> = (0..200)
        .filter_map(|_| delayed.fate(at(0.0), &"a".into()))
        .map(|fate| fate.delay)
        .collect();
    let (least, most) = (Duration::from_millis(100), Duration::from_millis(900));
    assert!(delays.iter().all(|delay| (least..=most).contains(delay)));
    assert!(delays.iter().min() < delays.iter().max());
}

#[test]
fn what_has_its_time_comes_in_order_after_the_first_login() {
    let text = r#"
        end = 5
        [[at]]
        time = 2
        op = "drop"
        [[at]]
        time = 1
        op = "upstream"
        from = "phone-1"
        data = { n = 1 }
    "#;
    let mut scenario = Scenario::new(File::parse(text).unwrap());
    assert_eq!((scenario.next_due(), scenario.end()), (None, None));
    scenario.login(at(10.0));
    scenario.login(at(11.0));
    assert_eq!(scenario.next_due(), Some(at(11.0)));
    assert_eq!(scenario.take_due(at(10.9)), None);
    let line = scenario.take_due(at(12.0)).unwrap();
    assert!(
        line.contains("upstream") && line.contains(r#""n":1"#),
        "{line}"
    );
    assert_eq!(scenario.take_due(at(12.0)).unwrap(), r#"{"op":"drop"}"#);
    assert_eq!(scenario.next_due(), None);
    assert_eq!(scenario.end(), Some(at(15.0)));
}

#[test]
fn a_message_comes_again_as_often_as_it_may() {
    let text = r#"
        [[redeliver]]
        from = "phone-*"
        times = 1
        after = 0.5
    "#;
    let mut scenario = scenario(text);
    let mut again = |from: &str| scenario.redelivery(&Upstream::new(from, "u"));
    assert_eq!(again("phone-1"), Some(Duration::from_millis(500)));
    assert_eq!(again("phone-1"), None);
    assert_eq!(again("phone-2"), Some(Duration::from_millis(500)));
    assert_eq!(again("tablet-1"), None);
}

#[test]
fn a_mistake_is_named() {
    for (text, why) in [
        ("sed = 1", "unknown field `sed`"),
        (
            "[[rule]]\nanswer = \"maybe\"",
            "answer \"maybe\" is not known",
        ),
        ("[[rule]]\npercent = 101", "101 percent is too much"),
        (
            "[[rule]]\ndelay = [2, 1]",
            "the latest time comes before the earliest",
        ),
        ("[[rule]]\nfrom = -1.0", "negative"),
        ("[[at]]\ntime = 1\nop = \"fly\"", "is not known"),
        ("[[at]]\nop = \"drain\"", "missing field `time`"),
    ] {
        let found = File::parse(text).unwrap_err().to_string();
        assert!(found.contains(why), "{text}: {found}");
    }
}
