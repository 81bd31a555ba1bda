//! One suite for every runtime: each case is written once and run on tokio, async-std, smol, and in virtual time.
#![allow(missing_docs)]

mod authority;
mod by_hand;
mod endpoints;
mod ends;
mod link;
mod login;
mod one_task;
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
    (both $both:tt memory $memory:tt tls $tls:tt virtual_time $virtual:tt) => {
        on!(tokio = crate::runtime::Tokio, $both $memory $tls);
        on!(async_std = crate::runtime::AsyncIo<crate::runtime::AsyncStd>, $both $memory $tls);
        on!(smol = crate::runtime::AsyncIo<crate::runtime::Smol>, $both $memory $tls);
        on!(virtual_time = crate::by_hand::Virtual, $both $memory $tls);
        mod timing {
            cases!((crate::by_hand::Virtual) $virtual);
        }
    };
}

suite! {
    both {
        login:
            an_endpoint_that_offers_no_plain_is_not_told_the_key
            a_refused_login_names_the_sender_and_not_the_key
            a_stream_error_instead_of_a_login_is_told
            an_end_of_the_stream_instead_of_a_login_is_told
            a_connection_that_ends_before_the_login_is_told
            an_endpoint_that_speaks_something_else_is_not_told_the_key
            an_endpoint_that_says_nothing_more_is_given_up_in_time
            a_refused_bind_is_told
            a_client_that_says_nothing_is_given_up_in_time
            a_login_without_an_end_is_not_read_for_ever
            a_dropped_decision_closes_the_connection;
        one_task:
            a_client_rests_while_nothing_happens
            an_endpoint_rests_while_nothing_happens
            an_endpoint_rests_while_nobody_logs_in;
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
        login:
            both_ends_log_in_and_messages_go_both_ways
            a_wrong_key_is_told_to_both_ends
            an_endpoint_refuses_plain_text_and_then_lets_a_good_client_in
            connections_that_say_nothing_do_not_keep_others_out
            a_plain_text_server_gets_a_client_hello_and_no_login
            a_server_that_never_answers_the_client_hello_is_given_up_in_time
            a_server_that_speaks_tls_and_nothing_else_is_given_up_in_time
            a_host_that_cannot_be_reached_and_a_name_that_is_none_are_told_apart_from_tls;
    }
    virtual_time {
        login:
            silence_is_given_up_after_the_times_that_are_documented;
    }
}
