//! How a stream ends: our end of it, the peer's, and why.

use std::time::Duration;

use bytes::BytesMut;

use super::Wire;
use crate::connection::due;
use crate::error::ConnectionError;
use crate::time::Time;
use crate::xmpp::StreamCondition;
use crate::xmpp::errors::push_stream_error;
use crate::xmpp::stream::CLOSE;

/// How far the end of the stream has come. The stream is over when both have said so, or when the transport is.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Why, if not in order.
    failure: Option<ConnectionError>,
    /// The stream error that the peer is told first.
    farewell: Option<(StreamCondition, String)>,
    /// Our `</stream:stream>`.
    ours: Closing,
    /// The peer's `</stream:stream>`, or the end of the transport after ours.
    theirs: bool,
    /// Nothing more can be written.
    cut: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Closing {
    #[default]
    NotYet,
    Wanted(Time),
    Sent(Time),
}

impl Wire {
    /// Ends the stream because of `error`. A peer that broke the protocol is told so. How a stream ended does not change
    /// once it is over.
    pub(crate) fn fail(&mut self, error: ConnectionError) {
        let was_over = self.is_over();
        // Whatever else is the matter: without a transport there is nothing to wait for. Who has ended its stream owes us
        // nothing more, however the transport ends.
        let is_transport = matches!(error, ConnectionError::Transport { .. });
        self.end.cut |= is_transport;
        if self.end.failure.is_some() || was_over || (is_transport && self.end.theirs) {
            return;
        }
        match &error {
            ConnectionError::Protocol { condition, what } => {
                self.end.farewell = Some((condition.clone(), what.clone()));
                self.close();
            }
            ConnectionError::Ended { condition, text } => {
                self.end.farewell = Some((condition.clone(), text.clone().unwrap_or_default()));
                self.close();
            }
            ConnectionError::UnexpectedEof => self.end.cut = true,
            ConnectionError::Transport { .. } => {}
            _ => self.close(),
        }
        self.end.failure = Some(error);
    }

    /// Ends the stream after what was written so far.
    pub(crate) fn close(&mut self) {
        if self.end.ours == Closing::NotYet {
            self.end.ours = Closing::Wanted(self.now);
        }
    }

    /// The peer ended its stream; ours ends too.
    pub(crate) fn closed_by_peer(&mut self) {
        self.end.theirs = true;
        self.close();
    }

    /// The transport ended.
    pub(crate) fn eof(&mut self) {
        if self.has_sent_end() || self.end.theirs {
            self.end.theirs = true;
            self.end.cut = true;
        } else {
            self.fail(ConnectionError::UnexpectedEof);
        }
    }

    /// Our end of the stream is said, and nothing can follow it.
    pub(super) fn has_sent_end(&self) -> bool {
        matches!(self.end.ours, Closing::Sent(_))
    }

    pub(crate) fn failure(&self) -> Option<&ConnectionError> {
        self.end.failure.as_ref()
    }

    /// The stream is being ended, or was: no new message is taken.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.ours != Closing::NotYet || self.end.failure.is_some() || self.end.theirs
    }

    /// Nothing is left to read or to write; the transport can be closed.
    pub(crate) fn is_over(&self) -> bool {
        self.end.cut || (self.has_sent_end() && (self.end.theirs || self.end.failure.is_some()))
    }

    /// The peer may not be waited for any longer than this.
    pub(crate) fn close_deadline(&self, patience: Duration) -> Option<Time> {
        match self.end.ours {
            // Wanted and not sent: the transport takes no more bytes.
            Closing::Wanted(since) | Closing::Sent(since) if !self.is_over() => {
                Some(since + patience)
            }
            _ => None,
        }
    }

    /// Gives up waiting for the peer's end of the stream.
    pub(crate) fn cut_if_overdue(&mut self, patience: Duration) {
        if due(self.close_deadline(patience), self.now) {
            self.end.cut = true;
        }
    }

    /// Stream error and end of the stream. What was written before goes first: answers to what was handled are worth
    /// as much as ever, and after `</stream:stream>` nothing may follow (RFC 6120 §4.4).
    pub(crate) fn transmit_end(&mut self, out: &mut BytesMut) {
        if !matches!(self.end.ours, Closing::Wanted(_)) || self.end.cut {
            return;
        }
        let before = out.len();
        if let Some((condition, text)) = self.end.farewell.take() {
            push_stream_error(out, &condition, &text);
        }
        out.extend_from_slice(CLOSE);
        self.show(out.get(before..).unwrap_or_default());
        self.end.ours = Closing::Sent(self.now);
    }
}
