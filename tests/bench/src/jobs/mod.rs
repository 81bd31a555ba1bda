//! What is measured: this project, what one would write in an afternoon, the xmpp-rs stack, the JSON alone, and the limits.

pub mod ccs;
pub mod hub;
pub mod json;
pub mod limits;
pub mod naive;
#[cfg(feature = "xmpp-rs")]
pub mod xmpp_rs;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::corpus::{Corpus, Quotes, Size, WINDOW};
    use crate::job::Job;

    /// Who reads something else than the others has no place in a table beside them.
    #[test]
    fn all_read_the_same() {
        for quotes in [Quotes::Raw, Quotes::Reference] {
            let corpus = Rc::new(Corpus::of(WINDOW, Size(1_000), quotes));
            let bodies: usize = corpus.samples.iter().map(|sample| sample.body.len()).sum();
            let owned = json::read_owned(Rc::clone(&corpus)).run();
            for chunk in [64, 8 * 1024] {
                for _ in 0..2 {
                    assert_eq!(ccs::Events::new(Rc::clone(&corpus), chunk).run(), bodies);
                    assert_eq!(naive::reads(Rc::clone(&corpus), chunk, false).run(), owned);
                    #[cfg(feature = "xmpp-rs")]
                    assert_eq!(
                        xmpp_rs::reads(Rc::clone(&corpus), chunk, false).run(),
                        owned
                    );
                }
            }
        }
    }

    /// A job can be run again and again.
    #[test]
    fn each_run_does_the_same() {
        let corpus = Rc::new(Corpus::of(WINDOW, Size(200), Quotes::Raw));
        let jobs: Vec<Box<dyn Job>> = vec![
            Box::new(ccs::Events::new(Rc::clone(&corpus), 64)),
            Box::new(ccs::Acks::new(Rc::clone(&corpus), 64)),
            Box::new(ccs::AckBytes::new(Rc::clone(&corpus), 64)),
            Box::new(ccs::Answers::new(Rc::clone(&corpus), 8 * 1024)),
            #[cfg(feature = "xmpp-rs")]
            Box::new(xmpp_rs::reads(Rc::clone(&corpus), 64, true)),
        ];
        for mut job in jobs {
            let once = job.run();
            for _ in 0..3 {
                job.tidy();
                assert_eq!(job.run(), once);
            }
        }
    }
}
