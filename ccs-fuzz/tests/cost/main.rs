//! What input costs: twice as much of anything costs about twice as much, and memory has a bound whatever comes.
//!
//! Nothing is timed. Counted are the bytes that the XML layer looks at, allocations, and the bytes of them.

mod shapes;

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use ccs_proto::internals::{Frame, Framer, Reader, bytes_looked_at};
use ccs_proto::{
    ClientConnection, ConnectionId, Nonce, ServerConfig, ServerConnection, ServerEvent, Time,
    TransportSecurity, XmlLimits,
};
use ccs_tests::pair::{Pair, client_config};

use shapes::{SHAPES, Shape};

const HEADER: &[u8] = b"<stream:stream to='x' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// Half of the larger input; both fit into a stanza of the default limits.
const BYTES: usize = 8 * 1024;
/// What twice as much may cost. A buffer that grows by doubling makes it more than 2.
const FACTOR: f64 = 2.6;

/// Reads of the sizes of a whole stanza, a small TLS record, and the worst peer.
const READS: [usize; 3] = [usize::MAX, 100, 1];

#[derive(Debug)]
struct Cost {
    looked_at: usize,
    allocations: u64,
    allocated: u64,
}

/// Both costs are of a whole run. A floor takes the place of what is too little to be compared.
fn assert_linear(what: &str, shape: &Shape, run: impl Fn(&[u8])) {
    let cost = |bytes: usize| {
        let input = shape.of(bytes);
        let before = bytes_looked_at();
        let AllocationInfo {
            count_total,
            bytes_total,
            ..
        } = measure(|| run(&input));
        Cost {
            looked_at: bytes_looked_at() - before,
            allocations: count_total,
            allocated: bytes_total,
        }
    };
    let (once, twice) = (cost(BYTES), cost(2 * BYTES));
    let pairs = [
        (once.looked_at as f64, twice.looked_at as f64, 1024.0),
        (once.allocations as f64, twice.allocations as f64, 32.0),
        (once.allocated as f64, twice.allocated as f64, 8192.0),
    ];
    for (once_counted, twice_counted, floor) in pairs {
        assert!(
            twice_counted < FACTOR * once_counted.max(floor),
            "{what}, {}: {once:?}, and twice of it {twice:?}",
            shape.name
        );
    }
}

#[test]
fn twice_the_xml_costs_twice_as_much() {
    for shape in SHAPES {
        for read in READS {
            assert_linear("framer and reader", shape, |input| parse(input, read));
        }
    }
}

#[test]
fn twice_the_stanzas_cost_an_endpoint_twice_as_much() {
    for shape in SHAPES {
        for read in READS {
            assert_linear("endpoint", shape, |input| serve(input, read));
        }
    }
}

#[test]
fn twice_the_stanzas_cost_an_app_server_twice_as_much() {
    for shape in SHAPES {
        for read in READS {
            assert_linear("app server", shape, |input| listen(input, read));
        }
    }
}

/// The bound of threats like the slow trickle: no byte is looked at again because more come.
#[test]
fn the_framer_looks_at_no_byte_more_than_four_times() {
    for shape in SHAPES {
        for read in READS {
            let input = shape.of(2 * BYTES);
            let before = bytes_looked_at();
            let mut framer = Framer::new(XmlLimits::default());
            each_read(&[HEADER, &input].concat(), read, |mut piece| {
                while let Ok(Some(_)) = framer.next(&mut piece) {}
            });
            let looked_at = bytes_looked_at() - before;
            assert!(
                looked_at <= 4 * (HEADER.len() + input.len()),
                "{}: {looked_at} of {}",
                shape.name,
                input.len()
            );
        }
    }
}

/// Twice the largest stanza for what is read, and something for the rest.
#[test]
fn what_reading_takes_of_memory_has_a_bound() {
    for stanza in [1024, XmlLimits::default().stanza] {
        let limits = XmlLimits {
            stanza,
            ..XmlLimits::default()
        };
        for shape in SHAPES {
            let input = shape.of(160 * 1024);
            for read in [16 * 1024, 100] {
                let AllocationInfo { bytes_max, .. } =
                    measure(|| parse_within(limits, &input, read));
                let bound = 2 * stanza as u64 + 32 * 1024;
                assert!(bytes_max <= bound, "{}: {bytes_max} of {bound}", shape.name);
            }
        }
    }
}

/// Nobody has logged in yet.
#[test]
fn what_a_stranger_takes_of_memory_has_a_bound() {
    let config = Arc::new(ServerConfig::default());
    for shape in SHAPES {
        let input = [HEADER, &shape.of(160 * 1024)].concat();
        for read in [16 * 1024, 100] {
            let AllocationInfo { bytes_max, .. } = measure(|| {
                let mut server = ServerConnection::new(
                    Arc::clone(&config),
                    ConnectionId(1),
                    Nonce([7; 20]),
                    Time::ZERO,
                );
                read_by_server(&mut server, &input, read);
            });
            let bound = 2 * config.limits.xml.stanza as u64 + 32 * 1024;
            assert!(bytes_max <= bound, "{}: {bytes_max} of {bound}", shape.name);
        }
    }
}

/// The same of an endpoint that a client has dialled, and is not sure of yet.
#[test]
fn what_a_false_endpoint_takes_of_memory_has_a_bound() {
    let config = Arc::new(client_config());
    for shape in SHAPES {
        let input = [HEADER, &shape.of(160 * 1024)].concat();
        for read in [16 * 1024, 100] {
            let AllocationInfo { bytes_max, .. } = measure(|| {
                let mut client = ClientConnection::new(
                    Arc::clone(&config),
                    ConnectionId(1),
                    TransportSecurity::VerifiedTls,
                    Time::ZERO,
                );
                read_by_client(&mut client, &input, read);
            });
            let bound = 2 * config.limits.xml.stanza as u64 + 32 * 1024;
            assert!(bytes_max <= bound, "{}: {bytes_max} of {bound}", shape.name);
        }
    }
}

fn each_read(input: &[u8], size: usize, mut read: impl FnMut(&[u8])) {
    input
        .chunks(size.min(input.len().max(1)))
        .for_each(&mut read);
}

fn parse(input: &[u8], size: usize) {
    parse_within(XmlLimits::default(), input, size);
}

fn parse_within(limits: XmlLimits, input: &[u8], size: usize) {
    let mut framer = Framer::new(limits);
    let mut reader = Reader::new(limits);
    let mut failed = false;
    let mut take = |mut piece: &[u8]| {
        while !failed {
            match framer.next(&mut piece) {
                Ok(Some(Frame::StreamOpen(tag))) => failed |= reader.open(tag).is_err(),
                Ok(Some(Frame::Element(element))) => failed |= !read_through(&mut reader, element),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => failed = true,
            }
        }
    };
    take(HEADER);
    each_read(input, size, take);
}

fn read_through(reader: &mut Reader, element: &[u8]) -> bool {
    let Ok(mut cursor) = reader.element(element) else {
        return false;
    };
    loop {
        match cursor.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// A bound endpoint, whose owner acks all.
fn serve(input: &[u8], size: usize) {
    let mut pair = Pair::bound();
    read_by_server(&mut pair.server, input, size);
}

fn read_by_server(server: &mut ServerConnection, input: &[u8], size: usize) {
    let mut out = BytesMut::new();
    each_read(input, size, |piece| {
        let _ = server.receive(Time::ZERO, piece);
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Downstream { token, .. } = event {
                let _ = server.ack(token, None);
            }
        }
        while server.poll_transmit(Time::ZERO, &mut out) {
            out.clear();
        }
    });
}

fn listen(input: &[u8], size: usize) {
    let mut pair = Pair::bound();
    read_by_client(&mut pair.client, input, size);
}

fn read_by_client(client: &mut ClientConnection, input: &[u8], size: usize) {
    let mut out = BytesMut::new();
    each_read(input, size, |piece| {
        let _ = client.receive(Time::ZERO, piece);
        while client.poll_event().is_some() {}
        while client.poll_transmit(Time::ZERO, &mut out) {
            out.clear();
        }
    });
}
