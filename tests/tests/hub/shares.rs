//! Each sender has its own share of what is kept.

use ccs_proto::hub::{Device, Reach};
use ccs_proto::message::Downstream;

use crate::world::{OTHER, World, seconds};

#[test]
fn p4_what_one_sender_fills_up_is_its_own() {
    let mut world = World::with(|config| {
        config.kept_messages = 2;
        config.kept_bytes = 6_000;
    });
    world.log_in();
    let other = world.log_in_as(OTHER);
    let large = |device| Downstream::to(device).data("k", "x".repeat(3_000));
    for device in ["phone-1", "phone-2", "phone-3"] {
        world.set_reach(device, Reach::Offline);
        world.send_message(1, device, large(device));
    }
    let full = [
        "phone-1 acked",
        "phone-2 acked",
        "phone-3 SERVICE_UNAVAILABLE",
    ];
    assert_eq!(world.answers(), full);
    for device in ["phone-1", "phone-2", "phone-3"] {
        world.send_message(other, device, large(device));
    }
    assert_eq!(world.answers(), full, "as much as the first one");
    world.devices_answer = false;
    for (connection, ids) in [(1, ["a", "b", "c"]), (other, ["d", "e", "f"])] {
        for id in ids {
            world.send_message(connection, id, Downstream::to("phone-4"));
        }
    }
    let acked = world.answers();
    let on_their_way = acked.iter().filter(|answer| answer.ends_with("acked"));
    assert_eq!(on_their_way.count(), 4, "two of each: {acked:?}");
}

#[test]
fn p4_each_sender_has_its_own_devices_remembered_that_lost_messages() {
    let mut world = World::with(|config| {
        config.kept_per_device = 1;
        config.kept_messages = 2;
    });
    world.log_in();
    let other = world.log_in_as(OTHER);
    let lose = |world: &mut World, connection, device| {
        world.set_reach(device, Reach::Offline);
        for n in 0..2 {
            let brief = Downstream::to(device).time_to_live(seconds(5));
            world.send_message(connection, &format!("{device}-{n}"), brief);
        }
        world.advance(seconds(6));
    };
    lose(&mut world, other, "phone-1");
    for device in ["phone-2", "phone-3", "phone-4"] {
        lose(&mut world, 1, device);
    }
    world.log();
    let device = Device::new(OTHER.parse().unwrap(), "phone-1".into());
    world.hub.reach(world.now, &device, Reach::Online);
    world.drive();
    assert_eq!(world.log(), ["told 999/phone-1 of 1"]);
}
