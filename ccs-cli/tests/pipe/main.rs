//! `ccs pipe` as the application behind it sees it, against `ccs serve`.

mod application;
mod backpressure;
mod ending;
mod examples;
mod reconnecting;
mod sending;
#[path = "../serve/support.rs"]
#[allow(dead_code, reason = "the tests of `ccs serve` use the rest")]
mod support;
mod upstream;
