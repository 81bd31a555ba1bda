//! What is done to a connection besides reading, and in which pieces it reads.

use crate::input::Input;

/// A script and the bytes that it reads.
pub struct Case<'a> {
    /// Which of the role's states it begins in, and how it is set up.
    pub stage: u8,
    pub setup: u8,
    pub steps: Vec<Step>,
    pub stream: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// So many bytes of the stream.
    Read(usize),
    /// So many seconds pass.
    Wait(u64),
    /// Bytes are taken to be written.
    Transmit,
    /// The application does something; which, is for the role to say.
    Do(u8, usize),
}

impl<'a> Case<'a> {
    /// Two bytes for the state, one for the number of steps, one for each step, then the stream.
    pub fn decode(case: &'a [u8]) -> Self {
        let mut input = Input(case);
        let (stage, setup, steps) = (input.byte(), input.byte(), input.byte() & 31);
        let steps = (0..steps).map(|_| Step::decode(input.byte())).collect();
        Self {
            stage,
            setup,
            steps,
            stream: input.0,
        }
    }
}

impl Step {
    fn decode(byte: u8) -> Self {
        let argument = usize::from(byte >> 3);
        match byte & 7 {
            0 => Self::Read(argument),
            1 => Self::Read(argument * 24),
            2 if argument < 24 => Self::Wait(argument as u64 * 7),
            2 => Self::Wait(argument as u64 * 60),
            3 => Self::Transmit,
            kind => Self::Do(kind - 4, argument),
        }
    }
}

/// How the bytes of one reading step are given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Whole,
    Bytes,
}

impl Cut {
    pub fn pieces(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let size = match self {
            Self::Whole => bytes.len(),
            Self::Bytes => 1,
        };
        bytes.chunks(size.max(1))
    }
}
