//! Faults of the plan as they strike.

use std::time::Duration;

use ccs_proto::{ConnectionId, StreamCondition};

use super::faults::{Fault, Mood};
use super::seen::Sight;
use super::sender::Sender;
use super::stage::Due;
use super::wire::End;
use super::world::World;

impl World {
    pub(super) fn strikes(&mut self, number: usize, fault: Fault) {
        let mut dice = self.stage.dice(&[7, number as u64]);
        let ids = self.stage.links.ids();
        let victim = (!ids.is_empty()).then(|| *dice.pick(&ids));
        let app = dice.index(self.apps.len());
        match fault {
            Fault::AppCrash => {
                self.stage.findings.see(Sight::AppCrash);
                self.apps[app].crashes(&mut self.stage);
            }
            Fault::CrashAt(point) => self.apps[app].crash_at = Some(point),
            Fault::AppRestart(span) => self.apps[app].shut_down(&mut self.stage, span),
            Fault::EndpointCrash(span) => {
                self.stage.findings.see(Sight::EndpointCrash);
                self.endpoint_crashes(span);
            }
            Fault::EndpointCrashAt(point) => self.endpoint.crash_at = Some(point),
            Fault::EndpointRestart(span) => {
                if let Some(life) = self.endpoint.drain_all(self.stage.now) {
                    self.stage.after(span, Due::EndpointStops(life));
                }
            }
            Fault::FewConnections(span) => {
                let sender = Sender(app);
                self.endpoint.limits(&sender.id(), Some(1));
                self.stage.after(span, Due::Limits(sender));
            }
            Fault::Mood(mood, span) => self.stage.starts(mood, span),
            Fault::Redeliver => {
                self.endpoint.post.posted_again(&mut dice);
                self.endpoint.submit_posted(self.stage.now);
            }
            Fault::DrainRefused(span) => {
                self.stage.starts(Mood::Refuse, span);
                if let Some(id) = victim {
                    self.stage.findings.see(Sight::DrainRefused);
                    self.endpoint.drain(self.stage.now, id);
                }
            }
            Fault::Stall(span) => {
                let both = dice.below(3);
                victim
                    .into_iter()
                    .for_each(|id| self.stalls(id, span, both));
            }
            Fault::Cut
            | Fault::HalfCloseUp
            | Fault::HalfCloseDown
            | Fault::BlackHole
            | Fault::Drain
            | Fault::StreamError(_) => {
                victim
                    .into_iter()
                    .for_each(|id| self.strikes_link(id, &fault));
            }
        }
    }

    /// The endpoint is gone, and away for a while.
    pub(super) fn endpoint_crashes(&mut self, span: Duration) {
        self.stage.note(|| "the endpoint crashes".to_owned());
        self.endpoint.crashes(&mut self.stage);
        self.endpoint_is_gone(span);
    }

    /// The endpoint has drained for long enough: its process ends, and another one starts.
    pub(super) fn endpoint_stops(&mut self, life: u64) {
        if self.endpoint.life == life {
            self.stage.note(|| "the endpoint stops".to_owned());
            self.stage.findings.see(Sight::EndpointRestart);
            self.endpoint.stops(&mut self.stage);
            self.endpoint_is_gone(Duration::ZERO);
        }
    }

    fn endpoint_is_gone(&mut self, span: Duration) {
        for id in self.stage.links.ids() {
            self.cut(id);
            if let Some(link) = self.stage.links.get_mut(id) {
                link.served = false;
            }
        }
        self.answers.forget();
        self.devices.forget();
        self.promises_hold(true);
        self.stage.starts(Mood::Refuse, span);
        self.stage.after(span, Due::EndpointStarts);
    }

    fn stalls(&mut self, id: ConnectionId, span: Duration, both: u64) {
        self.stage.findings.see(Sight::Stalled);
        let until = self.stage.now + span;
        if let Some(link) = self.stage.links.get_mut(id) {
            if both != 1 {
                link.up.stall(until);
            }
            if both != 0 {
                link.down.stall(until);
            }
        }
    }

    fn strikes_link(&mut self, id: ConnectionId, fault: &Fault) {
        let now = self.stage.now;
        let findings = self.stage.findings.clone();
        let Some(link) = self.stage.links.get_mut(id) else {
            return;
        };
        match fault {
            Fault::Cut => self.cut(id),
            Fault::Drain => self.endpoint.drain(now, id),
            Fault::HalfCloseUp => {
                findings.see(Sight::HalfClosedUp);
                link.up.finish(now, End::Eof);
            }
            Fault::HalfCloseDown => {
                findings.see(Sight::HalfClosedDown);
                link.down.finish(now, End::Eof);
            }
            Fault::BlackHole => {
                findings.see(Sight::BlackHole);
                link.up.swallow();
                link.down.swallow();
            }
            Fault::StreamError(condition) => {
                findings.see(match condition {
                    StreamCondition::SystemShutdown => Sight::SystemShutdown,
                    _ => Sight::StreamError,
                });
                self.endpoint.end_with(now, id, condition.clone());
            }
            _ => {}
        }
    }
}
