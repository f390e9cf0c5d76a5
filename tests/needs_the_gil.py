"""
Name the tests that cannot pass on a Python that runs without the GIL, each with the reason. ``conftest`` skips them there.

There are no kills there unless an option switches them on, and then nothing is promised of where they land; and the stacks
of running threads are not read (docs/discussion/free-threading.md). A name that no test has is an error, so that the list
stays true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

KILLS = "nothing is killed without the GIL, unless an option says so"
STACKS = "stacks of running threads are not read without the GIL"
HELD = "there is no GIL to keep"

NEED_TRUSTME = [
    "adapters/test_cheroot_served.py",
    "process/test_reload_listeners.py",
    "runtime/sockets/test_certificates.py",
    "runtime/sockets/test_tls_context.py",
    "server/test_certificates_page.py",
    "server/test_certificates_served.py",
    "wsgi/test_tls_keys.py",
]
"""
Files that cannot even be read without trustme and cryptography. These need cffi, of which there is no build for
free-threaded CPython 3.13. Other tests of TLS are skipped where they ask for a certificate.
"""

_FILES = {
    "runtime/window/test_holes.py": KILLS,
    "runtime/window/test_interrupt_signal.py": KILLS,
    "runtime/window/test_interrupting.py": KILLS,
    "runtime/window/test_kill_stress.py": KILLS,
    "runtime/window/test_landing.py": KILLS,
    "runtime/window/test_reach.py": KILLS,
    "runtime/window/test_window.py": KILLS,
    "runtime/supervision/test_kill_ladder.py": KILLS,
    "runtime/supervision/test_waiting_for_a_lock.py": KILLS,
    "server/test_end_by_zombies.py": KILLS,
    "server/test_kills_and_databases.py": KILLS,
    "server/test_own_line.py": STACKS,
    "server/test_zombies.py": KILLS,
    "slow/databases/test_hung_query.py": KILLS,
    "slow/databases/test_libraries.py": KILLS,
    "slow/test_kill_stress.py": KILLS,
    "watch/test_kill_memory.py": KILLS,
}

_TESTS = (
    (
        "adapters/test_cheroot_served.py",
        KILLS,
        """
        test_hung_requests_do_not_stop_the_server test_hung_requests_over_tls test_hung_requests_over_a_unix_socket
        test_killed_request_is_closed
        """,
    ),
    ("adapters/test_flup_nginx.py", KILLS, "test_fastcgi_behind_nginx test_scgi_behind_nginx"),
    ("adapters/test_twisted_pool.py", KILLS, "test_hung_call_is_replaced_and_killed"),
    (
        "adapters/test_twisted_served.py",
        KILLS,
        "test_hung_requests_do_not_stop_the_server_and_sigterm_ends_it test_pool_of_the_reactor",
    ),
    ("adapters/test_cherrypy.py", KILLS, "test_hung_page_is_shown_and_killed"),
    (
        "pooling/test_worker_pool.py",
        KILLS,
        """
        test_hung_work_is_replaced_and_killed test_work_is_woken_when_it_is_killed
        test_zombies_end_the_process_as_the_host_says
        """,
    ),
    (
        "pooling/test_requests.py",
        KILLS,
        """
        test_only_the_request_is_hung_and_killed test_kill_that_is_swallowed_ends_the_worker_all_the_same
        test_request_may_set_its_own_limit_and_be_told test_no_kill_lands_while_a_piece_of_the_response_is_sent
        test_killed_request_sends_nothing_any_more test_operator_kills_the_request_he_saw
        """,
    ),
    ("pooling/test_executor.py", KILLS, "test_killed_call_has_the_kill_as_its_exception"),
    (
        "runtime/supervision/test_supervisor.py",
        KILLS,
        """
        test_it_sleeps_until_something_is_due test_hung_call_is_logged_once_with_its_diagnosis_and_stack
        test_call_is_killed_at_its_limit_and_replaced test_request_may_have_a_limit_of_its_own
        test_kill_that_is_swallowed_is_repeated_with_growing_pauses
        test_clean_up_gets_a_tenth_of_the_dying_limit_undisturbed
        test_kill_that_was_held_back_is_tried_again_in_a_second
        test_callback_of_a_killed_call_is_over_before_the_exception_comes
        test_call_that_does_not_hear_becomes_a_zombie_and_is_left_alone
        test_more_zombies_than_allowed_end_the_process_once
        test_operators_kill_is_done_at_once_and_only_to_the_task_he_saw
        test_kill_that_is_asked_for_while_it_looks_is_not_lost
        test_interpreter_that_cannot_raise_in_threads_is_said_once_and_kills_nobody
        """,
    ),
    (
        "runtime/window/test_async_exc.py",
        STACKS,
        """
        test_exception_is_raised_where_the_thread_was_seen_and_nowhere_else test_thread_that_has_moved_on_is_left_alone
        """,
    ),
    (
        "process/test_desk.py",
        HELD,
        """
        test_worker_that_stands_still_is_shown_from_the_board_with_its_stacks
        test_health_of_the_desk_fails_when_all_stand_still
        """,
    ),
    ("process/test_desk.py", KILLS, "test_kill_reaches_the_process_that_it_names_and_no_other"),
    (
        "process/test_watchdog.py",
        HELD,
        """
        test_worker_that_stands_still_is_replaced_and_then_killed test_worker_that_stands_still_outlives_no_killed_parent
        test_all_workers_may_stand_still test_worker_that_goes_on_is_not_killed
        test_stacks_of_a_worker_that_stands_still_are_mailed
        """,
    ),
    ("process/test_zombies.py", KILLS, "test_only_the_worker_with_too_many_zombies_is_replaced"),
    ("server/test_service.py", HELD, "test_a_process_that_stands_still_gives_no_sign_of_life"),
    (
        "server/test_stop.py",
        STACKS,
        """
        test_drain_is_bounded_by_shutdown_timeout test_nothing_of_the_application_keeps_the_process
        test_host_program_outlives_a_server_with_a_hung_worker
        """,
    ),
    (
        "server/test_access_log.py",
        KILLS,
        "test_killed_request_has_its_line_at_once_and_only_once",
    ),
    (
        "server/test_changed_process.py",
        KILLS,
        "test_server_does_its_work_all_the_same",
    ),
    (
        "server/test_contexts.py",
        KILLS,
        "test_killed_request_leaves_nothing",
    ),
    (
        "server/test_exit_guard.py",
        KILLS,
        """
        test_killed_call_in_c_ends_the_process_only_with_system_exit
        test_killed_call_in_c_ends_no_process_with_worker_killed
        """,
    ),
    (
        "server/test_hang_table.py",
        KILLS,
        """
        test_c_client_of_every_kind_of_hang_is_told_at_the_kill_limit
        test_c_thread_of_every_kind_of_hang_ends_as_the_table_says test_c_table_of_the_manual_says_what_happens
        """,
    ),
    (
        "server/test_interrupts.py",
        KILLS,
        """
        test_signal_is_taken_while_the_server_runs_and_not_longer
        test_request_that_sleeps_is_ended_and_its_finally_is_run
        test_child_that_the_application_forks_does_not_catch_it
        """,
    ),
    (
        "server/test_kill_exception.py",
        KILLS,
        """
        test_application_sees_a_system_exit test_kill_that_finds_the_window_shut_is_a_system_exit_too
        test_default_is_no_system_exit test_status_of_a_kill_that_ends_the_interpreter_is_never_0
        """,
    ),
    (
        "server/test_mail_served.py",
        KILLS,
        "test_kills_within_seconds_are_one_mail test_mail_that_cannot_be_sent_is_in_the_log_after_the_stop",
    ),
    (
        "server/test_restarts.py",
        KILLS,
        """
        test_paster_monitor_starts_the_server_again_after_its_zombies
        test_supervisor_loop_starts_the_server_again_after_its_zombies
        """,
    ),
    (
        "server/test_signals_served.py",
        STACKS,
        "test_quit_shows_what_every_thread_does",
    ),
    (
        "server/test_slow_readers.py",
        KILLS,
        """
        test_application_that_is_killed_frees_its_room
        test_worker_that_waits_for_its_client_is_replaced_and_never_hung_or_killed
        test_hung_request_is_killed_after_its_client_has_read_on
        """,
    ),
    (
        "server/test_drills.py",
        KILLS,
        "test_b_trickle_of_hanging_requests_for_ever test_log_that_hangs_hangs_nobody_who_does_not_log",
    ),
    (
        "runtime/pool/test_task.py",
        KILLS,
        """
        test_task_of_another_host_that_hangs_is_noted_and_killed test_task_of_another_host_is_seen_through_pastes_eyes
        """,
    ),
    (
        "runtime/http/test_trickle.py",
        KILLS,
        "test_trickle_of_hanging_requests_for_ever",
    ),
    (
        "runtime/inspection/test_inspector.py",
        STACKS,
        """
        test_a_thread_in_recv_is_blocked_on_its_peer test_a_thread_in_queue_get_waits_for_an_item
        test_a_thread_that_waits_for_its_turn_is_told_from_one_that_waits_for_a_lock
        test_without_proc_the_stack_still_says_what_it_can test_the_status_goes_into_one_sentence_with_the_place
        """,
    ),
    (
        "runtime/inspection/test_stacks.py",
        STACKS,
        """
        test_who_looks_at_one_thread_drops_no_variables_of_another test_thread_that_has_ended_has_no_frame
        """,
    ),
    (
        "runtime/sockets/test_held_io.py",
        HELD,
        """
        test_what_came_is_received_in_pieces_of_bounded_size test_what_was_received_is_kept_when_more_comes
        test_neither_waits_even_on_a_socket_that_would test_the_end_and_trouble_are_left_to_the_socket
        test_socket_that_was_closed_is_nobody_elses test_nothing_goes_round_tls
        """,
    ),
    (
        "runtime/system/test_process_end.py",
        KILLS,
        "test_process_that_has_just_begun_to_serve_lives_for_a_second",
    ),
    (
        "runtime/watching/test_paste_pool.py",
        KILLS,
        """
        test_track_threads_sorts_them_into_five_states test_dying_threads_are_no_workers_any_more
        test_kill_worker_kills_what_the_thread_runs
        """,
    ),
    (
        "compat/test_pool_served.py",
        KILLS,
        "test_monitor_kills_the_request_it_finds",
    ),
    (
        "compat/test_served_contract.py",
        KILLS,
        """
        test_P8_a_killed_request_ends_with_worker_killed_and_its_finally_runs
        test_P11_at_the_end_by_zombies_the_exit_functions_run
        test_P16_watch_threads_shows_what_runs_and_kills_only_if_allowed
        """,
    ),
    (
        "watch/test_actions.py",
        KILLS,
        """
        test_kill_ends_the_request_and_says_so test_what_was_done_is_seen_by_the_next_look
        test_kill_hits_only_the_request_that_was_seen test_kill_of_a_blocked_request_says_that_it_is_dying
        test_token_in_a_header_is_proof_enough_for_a_kill test_get_kills_nobody
        test_every_action_is_logged_and_an_event
        """,
    ),
    (
        "watch/test_actions.py",
        STACKS,
        "test_dump_writes_every_stack_to_the_log",
    ),
    (
        "watch/test_admin.py",
        STACKS,
        "test_token_guards_the_admin_listener",
    ),
    (
        "watch/test_admin.py",
        KILLS,
        "test_demonstration_opens_it_from_the_command_line",
    ),
    (
        "watch/test_application.py",
        STACKS,
        "test_pastes_own_pool_is_shown",
    ),
    (
        "watch/test_counting.py",
        STACKS,
        "test_background_task_is_counted_and_shown",
    ),
    (
        "watch/test_counting.py",
        KILLS,
        "test_task_of_another_host_is_shown_in_its_own_words",
    ),
    (
        "watch/test_flaming.py",
        STACKS,
        """
        test_graph_shows_where_the_time_goes test_one_graph_at_a_time test_form_without_script_works_too
        """,
    ),
    (
        "watch/test_groups.py",
        STACKS,
        "test_every_account_counts_the_same_crowd",
    ),
    (
        "watch/test_hostile.py",
        STACKS,
        "test_names_in_code_are_shown_as_text",
    ),
    (
        "watch/test_mounted.py",
        STACKS,
        "test_page_behind_plain_nginx_is_shut_and_its_token_opens_it",
    ),
    (
        "watch/test_state.py",
        STACKS,
        """
        test_row_tells_what_a_worker_does test_requests_at_one_place_are_one_stack
        test_worker_that_waits_for_its_client_says_so test_stack_that_does_not_move_is_told
        test_hung_request_is_red_and_in_the_events test_state_has_the_shape_of_the_sample
        """,
    ),
    (
        "watch/test_state.py",
        KILLS,
        "test_kill_and_zombie_are_events_with_their_stacks",
    ),
    (
        "watch/test_watched.py",
        STACKS,
        "test_every_server_answers_everything",
    ),
)
"""Path below ``tests``, reason, and the names of the tests without their parameters."""

NEED_IT: dict[str, str] = {
    **_FILES,
    **{f"{path}::{name}": reason for path, reason, names in _TESTS for name in names.split()},
}
"""By a path below ``tests``, or a path and the name of a test without its parameters."""


def reason_for(node: str) -> str:
    """Return why a test is skipped; empty if it is not. ``node``: the id that pytest gives it."""
    path, _, name = node.removeprefix("tests/").partition("::")
    return NEED_IT.get(path) or NEED_IT.get(f"{path}::{name.partition('[')[0]}") or ""


def unknown(nodes: Iterable[str]) -> Iterator[str]:
    """Return the names of which no test is among these. Files that are not among them at all do not count."""
    tests = {node.removeprefix("tests/").partition("[")[0] for node in nodes}
    files = {test.partition("::")[0] for test in tests}
    for name in NEED_IT:
        if name.partition("::")[0] in files and name not in tests | files:
            yield name
