//! What no reader can do without, on the bytes of the stream: to copy them, to look for tags, to check that they are
//! UTF-8.

use std::rc::Rc;

use crate::corpus::Corpus;
use crate::job::Job;

pub fn copy(corpus: Rc<Corpus>, chunk: usize) -> impl Job {
    let mut buffer = vec![0; chunk];
    move || {
        let mut weight = 0;
        for read in corpus.stream.chunks(chunk) {
            let buffer = &mut std::hint::black_box(&mut buffer)[..read.len()];
            buffer.copy_from_slice(read);
            weight += usize::from(buffer[0]);
        }
        weight
    }
}

pub fn tags(corpus: Rc<Corpus>) -> impl Job {
    move || memchr::memchr_iter(b'<', &corpus.stream).count()
}

pub fn utf8(corpus: Rc<Corpus>) -> impl Job {
    move || {
        let mut start = 0;
        for end in &corpus.ends {
            std::str::from_utf8(&corpus.stream[start..*end]).expect("UTF-8");
            start = *end;
        }
        start
    }
}

pub fn simd_utf8(corpus: Rc<Corpus>) -> impl Job {
    move || {
        let mut start = 0;
        for end in &corpus.ends {
            simdutf8::basic::from_utf8(&corpus.stream[start..*end]).expect("UTF-8");
            start = *end;
        }
        start
    }
}
