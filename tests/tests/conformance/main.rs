//! One suite for every runtime: each case is written once and run on tokio, async-std, smol, and in virtual time.
#![allow(missing_docs)]

mod authority;
mod by_hand;
mod ends;
mod link;
mod runtime;
mod script;

mod window;

/// The cases of one runtime. Those of `both` are run over a pipe in memory and over TLS, the others as they say.
macro_rules! on {
    ($name:ident = $runtime:ty, $both:tt $memory:tt $tls:tt) => {
        mod $name {
            mod memory {
                cases!(($runtime, crate::link::Memory) $both);
                cases!(($runtime) $memory);
            }
            mod tls {
                cases!(($runtime, crate::link::Tls) $both);
                cases!(($runtime) $tls);
            }
        }
    };
}

macro_rules! cases {
    ($of:tt { $($subject:ident: $($case:ident)*;)* }) => {
        $($(case!($of $subject $case);)*)*
    };
}

macro_rules! case {
    (($runtime:ty $(, $link:ty)?) $subject:ident $case:ident) => {
        #[test]
        fn $case() {
            <$runtime as crate::runtime::Run>::block_on(
                crate::$subject::$case::<$runtime $(, $link)?>(),
            );
        }
    };
}

macro_rules! suite {
    (both $both:tt memory $memory:tt tls $tls:tt) => {
        on!(tokio = crate::runtime::Tokio, $both $memory $tls);
        on!(async_std = crate::runtime::AsyncIo<crate::runtime::AsyncStd>, $both $memory $tls);
        on!(smol = crate::runtime::AsyncIo<crate::runtime::Smol>, $both $memory $tls);
        on!(virtual_time = crate::by_hand::Virtual, $both $memory $tls);
    };
}

suite! {
    both {
        window:
            a_send_waits_for_its_answer
            messages_without_an_id_get_one_each
            a_full_window_gives_the_message_back_at_once
            a_full_window_waits_and_an_answer_lets_one_more_through
            what_is_wrong_with_a_message_is_said_and_costs_no_place
            waiting_senders_are_served_in_the_order_in_which_they_came
            a_dropped_permit_gives_its_place_to_the_next_in_line
            a_send_dropped_after_it_is_handed_over_has_its_outcome_as_an_event
            an_id_that_comes_again_belongs_to_another_send
            acks_go_out_while_the_window_is_full
            an_endpoint_sends_in_the_order_of_asking;
    }
    memory {
    }
    tls {
    }
}
