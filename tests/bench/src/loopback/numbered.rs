//! Stanzas that are ready but for the number in their message's id.

use memchr::memmem;

use crate::corpus::{Corpus, Quotes, Sample, stanza};

/// One kind of stanza, for each message of a corpus. Messages are numbered through; the corpus comes again and again.
pub struct Numbered(Vec<Stanza>);

struct Stanza {
    bytes: Vec<u8>,
    /// Where the digits are.
    digits: usize,
}

/// Digits of a number.
const DIGITS: usize = 12;

impl Numbered {
    /// What devices sent, as an endpoint writes it.
    pub fn upstream(corpus: &Corpus, quotes: Quotes) -> Self {
        Self::of(corpus, |sample| stanza(&sample.body, quotes))
    }

    /// What an app server answers to these.
    pub fn upstream_acks(corpus: &Corpus) -> Self {
        Self::of(corpus, |Sample { from, id, .. }| {
            let body =
                format!("{{\"to\":\"{from}\",\"message_id\":\"{id}\",\"message_type\":\"ack\"}}");
            stanza(&body, Quotes::Raw)
        })
    }

    /// What devices get, as an app server writes it.
    pub fn downstream(corpus: &Corpus) -> Self {
        Self::of(corpus, |Sample { from, id, data, .. }| {
            let body = format!("{{\"to\":\"{from}\",\"message_id\":\"{id}\",\"data\":{data}}}");
            stanza(&body, Quotes::Raw)
        })
    }

    /// What an endpoint answers to these.
    pub fn downstream_acks(corpus: &Corpus) -> Self {
        Self::of(corpus, |Sample { from, id, .. }| {
            let body =
                format!("{{\"from\":\"{from}\",\"message_id\":\"{id}\",\"message_type\":\"ack\"}}");
            stanza(&body, Quotes::Raw)
        })
    }

    fn of(corpus: &Corpus, write: impl Fn(&Sample) -> String) -> Self {
        let stanzas = corpus.samples.iter().map(|sample| {
            let bytes = write(sample).into_bytes();
            let id = memmem::find(&bytes, sample.id.as_bytes()).expect("an id");
            Stanza {
                bytes,
                digits: id + sample.id.len() - DIGITS,
            }
        });
        Self(stanzas.collect())
    }

    /// Bytes of each.
    pub fn weights(&self) -> Vec<usize> {
        self.0.iter().map(|stanza| stanza.bytes.len()).collect()
    }

    /// Appends the stanza of this number.
    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let Stanza { bytes, digits } = &self.0[number as usize % self.0.len()];
        let start = out.len() + digits;
        out.extend_from_slice(bytes);
        let mut left = number;
        for digit in out[start..start + DIGITS].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
}

/// The id of a message, as all peers write it.
pub fn id(number: u64) -> String {
    format!("m-{number:012}")
}

/// Finds the numbers in what comes, however its peer writes a stanza: quotes may be references, members in any order.
#[derive(Default)]
pub struct Numbers {
    /// What came and may have the start of an id.
    rest: Vec<u8>,
}

impl Numbers {
    pub fn read(&mut self, input: &[u8], mut take: impl FnMut(u64)) {
        const MEMBER: &[u8] = b"message_id";
        /// From the member's name to the end of its digits, at most: `&quot;:&quot;m-` is between them.
        const SPAN: usize = MEMBER.len() + 15 + DIGITS;
        self.rest.extend_from_slice(input);
        let (mut done, mut begun) = (0, None);
        for found in memmem::find_iter(&self.rest, MEMBER) {
            let Some(span) = self.rest.get(found..found + SPAN) else {
                begun = Some(found);
                break;
            };
            let digits = memmem::find(span, b"m-").map(|prefix| prefix + 2);
            let digits = digits.and_then(|start| span.get(start..start + DIGITS));
            let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            take(number.expect("an id of a number"));
            done = found + SPAN;
        }
        // A name that is cut is shorter than a whole one.
        let cut = self.rest.len().saturating_sub(MEMBER.len() - 1);
        self.rest.drain(..begun.unwrap_or(cut.max(done)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Size;

    #[test]
    fn numbers_are_found_however_reads_cut_the_stanzas() {
        let corpus = Corpus::of(7, Size(200), Quotes::Raw);
        for quotes in [Quotes::Raw, Quotes::Reference] {
            let stanzas = Numbered::upstream(&corpus, quotes);
            let mut bytes = Vec::new();
            (0..20).for_each(|number| stanzas.write(number, &mut bytes));
            // Something that is longer than the span follows the last, as in a stream that goes on.
            bytes.extend_from_slice(&[b' '; 64]);
            for chunk in [1, 7, 100, 4_096] {
                let (mut numbers, mut found) = (Numbers::default(), Vec::new());
                for read in bytes.chunks(chunk) {
                    numbers.read(read, |number| found.push(number));
                }
                assert_eq!(found, (0..20).collect::<Vec<_>>(), "{chunk}");
            }
        }
    }
}
