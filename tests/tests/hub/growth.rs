//! What one more message costs does not depend on how much is there.

use allocation_counter::measure;
use ccs_proto::hub::Reach;

use crate::world::World;

#[test]
fn keeping_a_message_takes_as_much_memory_however_many_wait_for_its_device() {
    let mut world = World::with(|config| config.kept_per_device = 2_000);
    world.log_in();
    world.set_reach("phone-1", Reach::Offline);
    let first = least_of_ten(&mut world, "first");
    for number in 0..1_000 {
        world.send(1, &format!("{number}"));
    }
    let last = least_of_ten(&mut world, "last");
    assert!(
        last < 2 * first,
        "{first} bytes for one of the first, {last} with 1,000 before it"
    );
}

/// Bytes allocated for a message. Now and then a list grows; not for the one that takes least.
fn least_of_ten(world: &mut World, name: &str) -> u64 {
    let bytes = (0..10).map(|number| {
        let id = format!("{name}-{number}");
        measure(|| world.send(1, &id)).bytes_total
    });
    bytes.min().unwrap()
}
