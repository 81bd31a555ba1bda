//! One suite for every runtime: each case is written once and run on tokio, async-std, smol, and in virtual time.
#![allow(missing_docs)]

mod acks;
mod admission;
mod authority;
mod broadcast;
mod by_hand;
mod cancel;
mod cancel_cases;
mod cancel_client;
mod cancel_endpoint;
mod cancel_service;
mod certificates;
mod cross;
mod draining;
mod ending;
mod endpoints;
mod ends;
mod flow;
mod link;
mod login;
mod names;
mod one_task;
mod peers;
mod runtime;
mod script;
mod secrets;
mod service;
mod untaken;
mod window;

/// The cases of one runtime. Those of the first list are run over a pipe in memory and over TLS, the others as they say.
macro_rules! on {
    ($name:ident = $runtime:ty, [$($both:tt)*] $memory:tt $tls:tt) => {
        mod $name {
            mod memory {
                $(cases!(($runtime, crate::link::Memory) $both);)*
                cases!(($runtime) $memory);
            }
            mod tls {
                $(cases!(($runtime, crate::link::Tls) $both);)*
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

/// `both`, `memory` and `tls` are run on each runtime. What takes long is spared virtual time, and what depends on who has
/// his turn when is certain there alone.
macro_rules! suite {
    (both $both:tt memory $memory:tt tls $tls:tt real_time $real:tt virtual_time $virtual:tt) => {
        on!(tokio = crate::runtime::Tokio, [$both $real] $memory $tls);
        on!(async_std = crate::runtime::AsyncIo<crate::runtime::AsyncStd>, [$both $real] $memory $tls);
        on!(smol = crate::runtime::AsyncIo<crate::runtime::Smol>, [$both $real] $memory $tls);
        on!(virtual_time = crate::by_hand::Virtual, [$both] $memory $tls);
        mod certain {
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
        flow:
            an_application_that_is_slow_holds_the_endpoint_up_and_loses_nothing
            an_endpoint_that_is_slow_holds_the_application_up_and_loses_nothing
            a_peer_whose_events_nobody_takes_can_send_all_the_same
            thousands_at_once_are_echoed_and_acked_in_one_task
            a_peer_that_ignores_the_window_is_cut_off_and_the_waiting_send_is_unknown
            a_peer_that_ignores_the_window_gets_through_where_the_inbox_holds_it_all;
        broadcast:
            a_broadcast_keeps_the_window_full_and_yields_one_outcome_a_token
            a_dropped_broadcast_takes_back_what_was_not_sent
            a_broadcast_on_a_draining_connection_says_of_each_token_that_it_was_not_sent
            a_task_may_send_between_two_outcomes_of_its_broadcast
            a_broadcast_that_rests_is_not_in_the_way
            the_tokens_may_look_at_the_client;
        acks:
            an_ack_goes_out_on_the_connection_that_the_message_came_by
            a_token_of_another_connection_comes_back_and_is_good_there
            an_ack_after_the_end_says_that_the_message_comes_again
            a_receipt_is_delivered_and_acked
            a_message_that_nobody_acks_is_told_at_both_ends;
        draining:
            while_it_drains_what_waits_comes_back_and_what_is_under_way_is_finished
            a_message_permitted_before_it_began_to_drain_was_not_sent
            a_drained_connection_ends_in_order_when_nothing_is_open
            what_came_back_goes_out_on_another_connection;
        peers:
            a_hub_answers_and_sends_by_its_connections
            an_ack_that_comes_too_late_is_given_on_the_next_connection;
        ending:
            closing_waits_for_answers_and_takes_acks_until_then
            the_stream_ends_in_order_when_every_handle_is_dropped
            the_stream_ends_in_order_when_the_endpoint_drops_its_handles
            what_nobody_acked_is_sent_again_on_another_connection
            a_lost_connection_leaves_what_was_in_flight_unknown
            a_message_that_is_cut_off_is_not_delivered
            a_half_open_connection_is_found_by_pings
            a_message_without_an_answer_gives_the_connection_up
            dropping_the_driver_tells_everybody
            dropping_the_driver_before_the_login_tells_who_waits_for_it
            a_cut_says_no_goodbye
            a_stream_error_says_whose_it_is
            waiting_for_the_end_again_and_again_leaves_nothing_behind;
        one_task:
            a_client_rests_while_nothing_happens
            an_endpoint_rests_while_nothing_happens
            an_endpoint_rests_while_nobody_logs_in
            who_tries_again_and_again_rests_while_the_window_is_full;
        cancel_client:
            a_send_may_be_dropped_anywhere
            a_permit_and_an_answer_may_be_dropped_anywhere
            the_answer_to_a_tried_send_may_be_dropped_anywhere
            a_broadcast_may_rest_anywhere
            waiting_for_an_event_may_be_dropped_anywhere
            waiting_for_the_login_may_be_dropped_anywhere
            waiting_for_the_end_may_be_dropped_anywhere
            closing_may_be_dropped_anywhere
            a_driver_may_be_dropped_anywhere;
        cancel_endpoint:
            a_send_of_the_endpoint_may_be_dropped_anywhere
            waiting_for_an_event_of_a_peer_may_be_dropped_anywhere
            a_login_may_be_dropped_anywhere;
        secrets:
            the_tap_sees_both_ways_and_never_the_key;
    }
    memory {
        flow:
            pieces_of_every_size_arrive_whole;
        ending:
            dropping_the_driver_of_a_failing_connection_tells_everybody
            a_stuck_transport_cannot_hold_up_the_end
            a_stuck_peer_that_flooded_the_inbox_is_cut_without_spinning
            a_deadline_beyond_the_clock_never_comes;
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
        certificates:
            a_believed_server_is_spoken_to
            nothing_is_said_to_a_server_that_is_not_believed
            a_private_authority_is_believed_only_when_it_is_named;
        admission:
            at_the_limit_the_oldest_gives_way_and_the_newcomer_gets_in
            a_decision_that_never_comes_ends_with_its_connection
            one_address_cannot_take_every_place
            after_too_many_wrong_keys_none_is_looked_at;
        service:
            what_was_in_flight_on_a_cut_connection_goes_out_again
            a_drained_connection_finishes_beside_the_next_one
            a_refusal_for_a_while_is_tried_again_and_one_for_good_is_told
            a_handler_decides_and_one_that_says_nothing_gets_it_again
            each_kind_has_its_handler_and_a_panic_or_a_hang_is_a_try
            a_dropped_send_is_taken_back_and_one_that_was_submitted_is_not
            a_shutdown_finishes_what_it_has_and_tells_what_is_left
            dropping_every_handle_ends_the_service_in_order
            one_that_only_waits_for_events_rests_while_a_message_waits;
        cancel_client:
            connecting_may_be_dropped_anywhere
            connecting_by_hand_may_be_dropped_anywhere;
        cancel_endpoint:
            accepting_may_be_dropped_anywhere
            binding_may_be_dropped_anywhere;
        cancel_service:
            a_send_of_a_service_may_be_dropped_anywhere
            a_submission_may_be_dropped_anywhere
            waiting_for_a_delivery_may_be_dropped_anywhere
            waiting_for_an_event_of_a_service_may_be_dropped_anywhere
            waiting_for_the_end_of_a_service_may_be_dropped_anywhere
            a_shutdown_may_be_dropped_anywhere
            a_driver_of_a_service_may_be_dropped_anywhere;
    }
    real_time {
        flow: twenty_thousand_messages_go_each_way_at_once;
    }
    virtual_time {
        login: silence_is_given_up_after_the_times_that_are_documented;
        window:
            a_send_dropped_before_it_is_handed_over_is_not_sent
            who_leaves_the_line_when_his_turn_has_come_passes_it_on;
        untaken:
            a_send_hears_its_answer_though_no_event_is_taken
            what_was_submitted_has_its_outcome_though_no_event_is_taken
            an_answer_that_nobody_took_counts_at_the_deadline;
    }
}
