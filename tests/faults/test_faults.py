"""Faults, one test each.

After each fault there is one accepted result and no orphan process, no run stays RUNNING, and
`git fsck` finds no error.

Some faults are tested together with the module that has to survive them. The table ELSEWHERE names
these tests, so that none of them gets lost. Tests that mount a file system, or limit the memory,
need root and are skipped without it.
"""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    peak_of_a_worker,
    started,
    wait_for,
    write,
)

TESTS = Path(__file__).parents[1]

# The tests of the faults that are tested elsewhere, by fault.
ELSEWHERE = {
    "a pin, a pinned commit or the workspace that another program deletes": (
        "faults/test_lost_pins.py: test_a_run_whose_pin_was_deleted_keeps_its_commit",
        "faults/test_lost_pins.py: test_verbs_name_a_commit_that_was_lost_with_its_pin",
        "faults/test_lost_pins.py: test_a_workspace_that_vanished_is_made_again",
    ),
    "a broken virtual environment, and a record of what did not run": (
        "stories/test_what_ran.py: test_a_broken_environment_is_refused",
        "stories/test_what_ran.py: test_an_environment_that_breaks_after_ready_is_not_replaced",
        "stories/test_what_ran.py: test_a_project_without_python_has_no_python_in_its_record",
        "stories/test_what_ran.py: "
        "test_the_environment_of_the_project_is_in_the_record_if_it_is_used",
        "stories/test_what_ran.py: test_a_command_that_does_not_end_is_bounded",
    ),
    "the environment of a lock: a build that is killed, and two at once": (
        "stories/test_locked_environments.py: test_a_build_that_was_killed_is_never_used",
        "stories/test_locked_environments.py: test_two_at_once_build_an_environment_once",
    ),
    "signals, limits, streams and variables that a caller leaves behind": (
        "faults/test_inherited.py: test_state_of_the_process",
        "faults/test_inherited.py: test_variables_do_not_reach_a_task",
        "faults/test_inherited.py: test_a_program_that_python_would_inspect_ends",
        "faults/test_inherited.py: test_a_task_has_the_umask_of_the_caller",
        "faults/test_inherited.py: test_an_unusable_umask_is_repaired_for_the_owner",
        "faults/test_inherited.py: test_odd_entries_of_the_environment",
        "faults/test_inherited.py: test_pathspec_variables_change_no_result",
    ),
    "state that tasks share: registries, and the module gitorch": (
        "interpreter/test_preflight.py: test_the_runs_of_a_sweep_do_not_depend_on_each_other",
        "faults/test_inherited.py: test_gitorch_works_within_a_task",
    ),
    "a storm: kills, housekeeping and moves of the branch, with two workers and all verbs": (
        "faults/test_storm.py: test_a_storm_loses_nothing_and_accepts_nothing_twice",
    ),
    "the results branch deleted, moved or overwritten by another git, at every step": (
        "git/store/test_branch_restoration.py: "
        "test_nothing_is_lost_whatever_happens_between_two_steps",
        "git/store/test_branch_restoration.py: "
        "test_what_is_lost_is_reported_restored_and_kept_from_gc",
        "git/store/test_branch_restoration.py: "
        "test_a_change_is_not_made_from_a_record_that_has_changed_meanwhile",
        "git/store/test_branch_restoration.py: "
        "test_the_run_that_got_further_wins_with_all_its_files",
        "git/store/test_branch_restoration.py: "
        "test_two_gitorchs_without_a_common_lock_lose_nothing",
        "faults/test_lost_branch.py: "
        "test_a_mirror_that_deletes_all_references_of_gitorch_loses_nothing",
        "faults/test_lost_branch.py: "
        "test_main_forced_onto_the_branch_is_reported_and_undone",
        "faults/test_lost_branch.py: "
        "test_commits_of_a_checkout_with_old_files_lose_nothing",
        "faults/test_lost_branch.py: "
        "test_files_that_are_removed_beside_a_record_come_back",
        "faults/test_lost_branch.py: test_a_damaged_reference_is_restored",
        "faults/test_lost_branch.py: "
        "test_a_branch_without_its_commit_is_refused_until_it_is_repaired",
        "faults/test_lost_branch.py: test_a_broken_reference_of_the_user_hides_nothing",
        "faults/test_lost_branch.py: "
        "test_a_branch_in_the_way_is_named_by_every_verb",
        "faults/test_lost_branch.py: test_a_damaged_id_of_the_clone_is_named",
        "faults/test_lost_branch.py: test_a_damaged_file_of_git_is_not_a_bug",
    ),
    "queue.db, index.db or the large files vanish or go back": (
        "faults/test_lost_branch.py: test_an_older_copy_of_the_queue_repeats_nothing",
        "faults/test_lost_branch.py: test_an_older_copy_of_the_index_hides_nothing",
        "faults/test_lost_branch.py: test_either_copy_of_a_large_file_is_enough",
        "faults/test_lost_branch.py: "
        "test_the_queue_does_not_skip_a_commit_that_came_between",
    ),
    "settings, flags and variables of git that hide edits or deliver pointers": (
        "git/test_neutral.py: test_every_setting_of_the_manual_is_decided",
        "git/test_neutral.py: test_an_edit_behind_a_flag_is_a_modification",
        "git/test_neutral.py: test_no_setting_hides_an_edit",
        "git/test_neutral.py: test_a_replaced_commit_is_what_it_is_elsewhere",
        "stories/test_user_settings.py: test_settings_that_switch_smudging_off",
        "stories/test_user_settings.py: test_without_git_lfs_missing_content_is_refused",
        "stories/test_user_settings.py: test_edits_that_git_hides_are_refused_or_in_the_snapshot",
        "stories/test_user_settings.py: test_the_record_has_the_hash_of_what_the_task_reads",
    ),
    "submodules and large files that cannot be fetched": (
        "faults/test_cannot_fetch.py: test_checkout_run_delivers_the_rest",
        "faults/test_cannot_fetch.py: test_a_large_file_of_a_submodule_alone",
        "faults/test_cannot_fetch.py: test_revert_delivers_the_rest",
        "faults/test_cannot_fetch.py: test_runs_that_have_everything_go_on",
    ),
    "daemons that ignore TERM: worker killed alone or with its processes; kill; time limit": (
        "engines/test_local.py: test_worker_killed",
        "engines/test_local.py: test_worker_and_supervisor_killed",
        "engines/test_local.py: test_what_is_left_when_all_are_killed_is_swept",
        "engines/test_local.py: test_cancel_and_time_limit_end_daemons_too",
        "stories/test_verbs.py: test_kill_ends_all_processes_before_the_record_is_removed",
        "stories/test_killed.py: test_the_next_start_kills_the_processes_of_a_killed_worker",
    ),
    "streams that are closed, full or without a reader; a terminal that closes": (
        "faults/test_printing.py: test_a_worker_that_cannot_print_does_its_work",
        "faults/test_printing.py: test_the_exit_code_is_that_of_the_work",
        "faults/test_printing.py: test_verbs_that_cannot_print_change_what_they_should",
        "faults/test_printing.py: test_a_reader_that_ends_early_ends_no_work",
        "faults/test_printing.py: test_a_terminal_that_closes_ends_no_work",
        "faults/test_printing.py: test_a_stream_that_does_not_block_loses_nothing",
        "faults/test_printing.py: test_commands_that_only_print_stop",
    ),
    "work that was called and not done; a failure inside a command": (
        "runner/test_task_program.py: test_called_is_not_done",
        "runner/test_task_program.py: test_an_asynchronous_run_is_awaited",
        "runner/test_task_program.py: test_a_process_that_ends_before_run_returns_has_no_result",
        "interpreter/test_preflight.py: test_a_method_that_does_not_name_a_task_class",
        "stories/test_shells.py: test_a_failure_in_any_line_or_part_of_a_pipe_fails_the_task",
        "stories/test_shells.py: test_without_bash_a_failing_line_fails_the_task",
        "stories/test_shells.py: test_a_record_without_a_shell_runs_again_as_it_ran",
    ),
    "the reason of a failure; logging that a task configures itself": (
        "model/run/test_failure_reason.py: test_the_line_that_states_the_error",
        "runner/test_task_program.py: test_the_reason_is_the_exception",
        "runner/test_task_program.py: test_logging_works_as_in_every_program_and_prints_once",
        "stories/test_shells.py: test_the_reason_of_a_failure_is_what_states_it",
    ),
    "no space for the log and the attempt's own record": (
        "engines/test_local.py: test_full_disk",
        "engines/test_log_pipe.py: test_a_full_disk_leaves_a_gap_in_the_log_which_is_reported",
    ),
    "out of memory, distinguished from a kill": (
        "engines/test_local.py: test_out_of_memory_is_named",
    ),
    "a record from elsewhere with this clone's id, or a queued run that was changed elsewhere": (
        "stories/test_records_from_elsewhere.py: "
        "test_a_planted_record_with_this_clones_id_is_not_executed",
        "stories/test_records_from_elsewhere.py: "
        "test_a_queued_run_that_was_changed_elsewhere_waits_until_somebody_asks",
        "stories/test_records_from_elsewhere.py: "
        "test_a_rerun_takes_no_programs_from_a_record_of_another_clone",
        "storage/test_ledger.py: test_a_line_that_was_torn_affects_no_other",
    ),
    "a workspace that is a link, of another user, or that others can replace": (
        "stories/test_shared_directories.py: "
        "test_a_workspace_that_was_replaced_by_a_link_is_refused",
        "stories/test_shared_directories.py: test_a_workspace_of_another_user_is_refused",
        "stories/test_shared_directories.py: "
        "test_a_link_that_a_task_left_in_the_workspace_is_not_followed",
        "stories/test_shared_directories.py: test_nobody_else_reads_state_workspace_and_logs",
        "tools/test_private.py: "
        "test_removing_follows_no_link_and_changes_no_mode_through_one",
    ),
    "secrets in results, metrics, events, diffs, reasons and addresses": (
        "stories/test_secrets.py: "
        "test_no_secret_of_the_environment_reaches_the_branch_or_a_message",
        "stories/test_secrets.py: test_reasons_of_the_operator_are_masked",
        "stories/test_secrets.py: test_passwords_in_addresses_are_masked_and_a_rerun_works",
        "stories/test_secrets.py: test_the_log_of_a_running_attempt_is_masked",
        "stories/test_secrets.py: test_a_secret_in_a_config_is_refused_unless_it_is_allowed",
        "model/text/test_secret_values.py: test_no_secret",
        "model/text/test_masking.py: test_a_stream_is_masked_wherever_it_is_cut",
        "stories/test_secrets.py: test_messages_about_addresses_are_masked",
        "model/text/test_masking.py: test_every_form_of_a_secret_is_masked",
    ),
    "a repository that is copied, moved, or restored; two state directories": (
        "stories/test_copies.py: test_a_copy_leaves_the_runs_to_the_original",
        "stories/test_copies.py: test_the_worker_of_the_original_is_not_touched",
        "stories/test_copies.py: test_a_restored_backup_keeps_its_runs",
        "stories/test_copies.py: "
        "test_another_state_directory_for_the_same_repository_is_refused",
        "interpreter/test_probe.py: test_start_up_files_and_exit_handlers_may_print",
        "stories/test_copies.py: test_a_large_file_that_is_missing_keeps_back_no_other",
        "stories/test_copies.py: "
        "test_paths_that_are_not_utf8_are_refused_before_anything_is_queued",
    ),
    "the clock set back during a backoff": (
        "database/test_run_queue.py: test_setting_the_clock_back_does_not_make_a_backoff_longer",
    ),
    "a record from the future; a clock that is set while a worker runs": (
        "storage/test_catalog.py: test_cached_tasks_are_found_newest_first",
        "storage/test_catalog.py: test_a_run_from_the_future_is_the_latest_only_until_the_next_one",
        "storage/test_catalog.py: test_all_clones_agree_on_the_order",
        "storage/test_catalog.py: "
        "test_a_time_that_nothing_can_follow_keeps_no_run_from_being_made",
        "stories/test_collect.py: test_a_clock_that_is_set_during_a_run_fails_nothing",
        "stories/test_collect.py: test_collect_does_not_act_on_a_clock_that_was_set",
        "tools/test_clock.py: test_a_clock_that_was_set",
    ),
    "reruns that count twice; a rerun that is compared with itself": (
        "model/table/test_groups.py: "
        "test_of_runs_that_are_the_same_the_first_complete_one_counts",
        "actions/test_compare.py: test_after_a_rerun_a_label_means_the_original",
        "storage/test_catalog.py: test_runs_are_selected_by_what_they_repeat",
    ),
    "options and commands that mean something else than is seen": (
        "config/test_overrides.py: "
        "test_what_is_read_otherwise_than_it_is_seen_is_an_error_with_the_line_to_write",
        "config/test_overrides.py: test_what_another_language_reads_otherwise_is_a_warning",
        "config/test_placeholder_check.py: "
        "test_unknown_names_inside_quotes_and_double_braces_are_left_alone",
        "model/text/test_placeholders.py: test_double_braces_in_a_list_and_in_an_earlier_record",
    ),
    "signals during imports and at the end, limits, a symbolic branch, a killed ready": (
        "faults/test_ends.py: test_a_signal_during_the_imports",
        "faults/test_ends.py: test_a_signal_at_any_moment",
        "faults/test_ends.py: test_limits_on_files",
        "faults/test_ends.py: test_memory_threads_and_processes_that_are_refused",
        "faults/test_ends.py: test_a_full_device_is_an_error",
        "faults/test_ends.py: test_a_symbolic_results_branch_is_never_written_through",
        "faults/test_ends.py: test_collect_removes_the_worktrees_of_a_ready_that_was_killed",
    ),
    "Ctrl-C once and twice; kill of a waiting run": (
        "stories/test_a_run.py: test_ctrl_c_once_finishes_running_tasks_and_starts_no_more",
        "stories/test_a_run.py: test_ctrl_c_twice_stops_running_tasks_and_requeues_them",
        "stories/test_verbs.py: test_a_verb_from_every_status",
    ),
    "a corrupt or missing database": (
        "stories/test_hostile.py: test_a_damaged_queue_is_reported_and_loses_nothing",
        "stories/test_killed.py: test_a_repository_continues_without_its_queue",
    ),
    "stale git locks, a worktree deleted by hand": (
        "git/store/test_refs.py: test_a_lock_that_a_killed_process_left_is_removed",
        "stories/test_hostile.py: test_workspace_and_queue_lost_after_ready_are_recreated",
    ),
    "git gc --prune=now during a commit": (
        "git/store/test_results.py: test_commits_beside_a_gc_or_prune_of_the_user_lose_nothing",
    ),
    "a task that kills its slot": (
        "stories/test_scheduling.py: test_a_task_that_kills_its_slot_fails_after_three_attempts",
    ),
    "a missing interpreter, a missing workspace": (
        "stories/test_odd_repositories.py: test_a_missing_interpreter_fails_only_its_own_run",
        "stories/test_odd_repositories.py: test_a_deleted_workspace_loses_no_results",
    ),
    "locks that are never released, programs that never end, daemons, circular links": (
        "faults/test_waits.py: test_every_wait_says_what_it_waits_for_and_can_be_interrupted",
        "faults/test_waits.py: test_what_waited_goes_on_later",
        "faults/test_waits.py: test_a_workspace_that_is_a_dangling_link_is_refused",
        "faults/test_waits.py: test_a_daemon_that_git_starts_holds_no_lock_and_no_pipe",
        "faults/test_waits.py: test_links_to_directories_above_and_to_each_other_end",
        "tools/test_process.py: test_a_killed_process_that_does_not_end_is_returned",
    ),
    "queue.db lost, replaced or restored under a living worker, which may be stopped or die": (
        "faults/test_fences.py: test_a_queue_that_is_lost_under_a_living_worker",
        "faults/test_fences.py: test_a_worker_that_dies_after_its_queue_was_lost_is_recovered",
        "database/test_run_queue.py: test_the_wal_of_a_removed_file_is_not_that_of_the_new_one",
        "database/test_run_queue.py: test_the_number_of_attempts_never_falls_behind_the_record",
    ),
    "another host name, a removed lock file, a reader: no living worker is voided": (
        "faults/test_fences.py: test_another_name_of_the_host_voids_no_living_worker",
        "faults/test_fences.py: test_a_worker_of_another_host_name_is_killed_through_its_queue",
        "faults/test_fences.py: test_a_lock_file_that_was_removed_voids_no_living_worker",
        "faults/test_fences.py: test_a_reader_changes_nothing_for_a_dead_worker",
        "database/test_run_queue.py: test_a_copy_keeps_the_tasks_of_living_workers",
        "database/test_run_queue.py: test_another_name_of_the_host_is_not_a_copy",
    ),
    "the next task of a run waits for other runs; a claimed task is shown as running": (
        "stories/test_scheduling.py: test_a_run_that_has_begun_goes_on_before_the_next_run",
        "stories/test_scheduling.py: test_an_urgent_run_interrupts_a_run_that_has_begun",
        "stories/test_scheduling.py: test_what_is_claimed_ahead_is_not_shown_as_running",
        "worker/test_scheduler.py: test_a_slot_is_kept_for_the_next_task_of_the_run",
        "database/test_run_queue.py: test_a_run_that_has_begun_is_claimed_first",
    ),
    "a cached task that fails again for every run": (
        "stories/test_known_failures.py: test_other_runs_get_the_failure_until_one_is_retried",
        "stories/test_known_failures.py: test_a_cause_that_may_pass_is_not_shared",
        "stories/test_known_failures.py: test_a_failure_is_shared_when_all_retries_are_used_up",
        "stories/test_known_failures.py: test_a_run_readied_after_the_failure_is_executed",
    ),
    "the end of an attempt that is not accepted": (
        "faults/test_fences.py: test_two_workers_with_one_attempt_have_one_end",
        "faults/test_fences.py: test_a_worker_of_another_host_name_is_killed_through_its_queue",
        "model/run/test_record_changes.py: test_a_record_accepts_one_end_of_each_attempt",
    ),
    "a task that opens, truncates, closes or floods its own streams": (
        "engines/test_log_pipe.py: test_a_shell_cannot_overwrite_the_log",
        "engines/test_log_pipe.py: test_a_program_cannot_truncate_the_log",
        "engines/test_log_pipe.py: test_output_of_processes_that_are_left_running_is_in_the_log",
        "engines/test_log_pipe.py: test_a_slot_that_is_stopped_for_a_while_loses_no_output",
        "engines/test_sweep.py: test_processes_are_found_by_the_pipe_that_they_can_write_to",
    ),
    "a pipe, a device, a link, a directory or a huge file in a place where gitorch reads": (
        "faults/test_hostile_files.py: test_nothing_that_a_task_leaves_stops_the_worker",
        "faults/test_hostile_files.py: test_a_config_that_is_not_a_file_is_refused",
        "faults/test_hostile_files.py: test_logs_does_not_wait_for_a_pipe",
        "tools/test_untrusted.py: test_what_is_not_a_file_is_not_opened",
        "tools/test_untrusted.py: test_a_link_that_leads_out_is_not_followed",
        "tools/test_untrusted.py: test_a_file_that_grows_is_read_up_to_its_first_size",
        "test_house.py: test_files_that_others_made_are_opened_by_untrusted",
    ),
    "outputs that do not fit, are very deep or sparse; a full workspace": (
        "faults/test_disk_space.py: test_an_output_that_does_not_fit_fails_its_own_run",
        "faults/test_disk_space.py: test_many_small_outputs_that_do_not_fit_together",
        "faults/test_disk_space.py: test_a_directory_that_is_too_deep_fails_its_own_run",
        "faults/test_disk_space.py: test_holes_stay_holes",
        "faults/test_disk_space.py: test_a_full_workspace_keeps_the_runs_waiting",
        "faults/test_disk_space.py: test_a_task_that_fills_the_workspace_fails_alone",
        "git/store/test_copying.py: test_a_copy_has_the_same_data_and_the_same_holes",
        "tools/test_deletion.py: test_a_very_deep_directory_is_deleted",
    ),
    "many or large outputs, events, logs, results, metrics and diffs": (
        "faults/test_memory.py: test_the_memory_of_the_worker_is_bounded",
        "faults/test_memory.py: test_a_run_has_at_most_a_thousand_metrics",
        "faults/test_memory.py: test_a_result_that_is_nested_too_deeply_is_noted",
    ),
    "texts that look like a Git LFS pointer": (
        "faults/test_pointer_texts.py: test_a_log_that_looks_like_a_pointer_is_a_log",
        "faults/test_pointer_texts.py: test_git_itself_treats_the_text_as_a_text",
        "faults/test_pointer_texts.py: "
        "test_a_record_that_does_not_say_how_a_log_is_stored_is_read_as_before",
    ),
    "files of a run that are not kept": (
        "faults/test_hostile_files.py: test_the_end_of_a_run_names_what_is_not_kept",
    ),
    "a database of an older and of a newer format": (
        "database/test_run_queue.py: test_a_file_of_an_earlier_format_is_upgraded",
        "database/test_run_queue.py: test_a_file_of_a_newer_format_is_refused",
    ),
    "a record, or what lies beside it, changed by hand or by a merge": (
        "faults/test_mutated_records.py: "
        "test_every_command_works_beside_records_with_any_field_changed",
        "faults/test_mutated_records.py: "
        "test_every_command_works_beside_anything_in_the_place_of_files",
        "faults/test_mutated_records.py: "
        "test_a_file_in_the_place_of_all_runs_is_explained",
        "faults/test_mutated_statuses.py: "
        "test_every_command_works_beside_damaged_records_of_every_status",
        "faults/test_mutated_statuses.py: test_attempts_that_cannot_be_read_are_named",
        "faults/test_mutated_statuses.py: test_every_command_works_beside_very_large_records",
        "model/table/test_references.py: "
        "test_a_reference_to_a_record_that_cannot_be_read_says_so",
    ),
    "a record that was damaged, or written by a newer gitorch, while its run is queued or runs": (
        "faults/test_mutated_records.py: "
        "test_runs_whose_records_were_damaged_in_the_queue_are_not_executed",
        "faults/test_mutated_records.py: "
        "test_a_record_that_is_damaged_while_its_task_runs_refuses_the_result",
    ),
    "damaged rows of queue and index; stray references, locks and directories": (
        "faults/test_mutated_records.py: "
        "test_a_damaged_row_of_the_queue_is_read_from_its_record",
        "faults/test_mutated_records.py: "
        "test_a_damaged_row_of_the_index_is_read_from_its_record",
        "faults/test_mutated_records.py: test_stray_references_of_gitorch_stop_nothing",
    ),
    "NaN, infinities and huge integers in results, events, options, configs and records": (
        "model/test_numbers.py: test_a_measured_number_is_finite_and_fits_into_64_bits",
        "stories/test_odd_numbers.py: "
        "test_numbers_of_tasks_become_finite_or_null_and_stay_visible",
        "stories/test_odd_numbers.py: "
        "test_odd_progress_does_not_break_the_status_of_others",
        "stories/test_odd_numbers.py: "
        "test_an_option_with_a_number_out_of_its_bounds_is_refused",
        "stories/test_odd_numbers.py: "
        "test_a_config_with_a_number_out_of_its_bounds_is_refused",
        "stories/test_odd_numbers.py: "
        "test_a_priority_that_was_stored_before_there_were_bounds_harms_nothing",
    ),
    "control and bidirectional characters in any field of a record, and in logs": (
        "faults/test_hostile_texts.py: "
        "test_no_field_of_a_record_reaches_a_terminal_raw",
        "faults/test_hostile_texts.py: test_completions_control_no_terminal",
        "faults/test_hostile_texts.py: "
        "test_a_log_on_a_terminal_keeps_its_colours_and_nothing_else",
        "cli/test_style.py: test_everything_is_printed_by_the_functions_of_style",
    ),
    "`.git` and its other names, links and paths to the outside in a record": (
        "faults/test_hostile_texts.py: test_names_that_git_refuses_are_escaped",
        "faults/test_hostile_texts.py: "
        "test_a_checkout_has_no_git_directory_of_a_record",
        "faults/test_hostile_texts.py: "
        "test_a_checkout_writes_nothing_outside_of_its_directory",
    ),
}


@pytest.mark.parametrize(
    "named", [test for tests in ELSEWHERE.values() for test in tests]
)
def test_the_tests_of_faults_that_are_elsewhere_are_there(named: str) -> None:
    """Check that each test named by ELSEWHERE exists."""
    file, _, name = named.partition(": ")
    tree = ast.parse((TESTS / file).read_text())
    assert name in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }


# -- what has to hold after each fault


def queue_of(project: Path) -> Path:
    return project / ".git/gitorch/queue.db"


@contextmanager
def opened(project: Path) -> Iterator[sqlite3.Connection]:
    """Open the queue's database, and commit changes at the end."""
    with closing(sqlite3.connect(queue_of(project))) as database, database:
        yield database


def assert_sound(project: Path) -> None:
    """Check that no run, worker or process is left, and that git and SQLite find no error."""
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 0
    assert gitorch_json(project, "status")["workers"] == []
    assert git(project, "fsck", "--full", "--no-dangling") == ""
    with opened(project) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    wait_for(lambda: not processes(project))


def processes(project: Path) -> list[str]:
    """Return the command lines of this test's tasks and workers, without git's background jobs.

    Each test has its own HOME.
    """
    marker = f"HOME={os.environ['HOME']}".encode()
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and marker in (
                entry / "environ"
            ).read_bytes().split(b"\0"):
                commands.append(
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
        except OSError:
            continue  # the process has ended
    return [
        command
        for command in commands
        if command and not command.startswith("git ")
    ]


def statuses(project: Path) -> dict[str, str]:
    return {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }


def kinds(project: Path, run: str = "@", task: int = 0) -> list[str]:
    """Return the kind of outcome of each attempt of a task."""
    attempts = gitorch_json(project, "show", run)["run"]["tasks"][task]["attempts"]
    return [attempt["outcome"]["kind"] for attempt in attempts]


def config(project: Path, name: str, *commands: str, **params: object) -> None:
    """Write a config with one task for each command."""
    tasks = [
        {"id": f"t{number}", "command": command}
        for number, command in enumerate(commands)
    ]
    write(
        project, f"experiments/{name}.yaml", json.dumps({**params, "tasks": tasks})
    )


# -- workers that are stopped, die, or continue


def test_a_result_of_a_worker_stopped_while_its_run_was_killed_is_rejected(
    project: Path, tmp_path: Path
) -> None:
    git(project, "config", "gitorch.grace", "0")
    config(
        project,
        "a",
        f"touch {tmp_path}/begun; sleep 0.2; echo late > {{outputDir}}/late",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGSTOP)
    wait_for(
        lambda: list(project.parent.glob("project.gitorch/*/log/t0/1/status.json"))
    )
    gitorch(project, "kill", "--yes", "a")
    worker.send_signal(signal.SIGCONT)
    _, stderr = worker.communicate(timeout=20)
    assert worker.returncode == 1, stderr
    assert "COMPLETE" not in stderr
    assert gitorch_json(project, "list")["runs"] == []
    assert_sound(project)


def test_a_stopped_worker_keeps_its_run_and_no_other_worker_repeats_it(
    project: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        config(project, name, f"echo s >> {tmp_path}/{name}; sleep 0.2")
    gitorch(project, "ready")
    stopped = started(project, "run")
    wait_for((tmp_path / "a").exists)
    stopped.send_signal(signal.SIGSTOP)
    gitorch(project, "run", "b")
    assert statuses(project) == {"a": "RUNNING", "b": "COMPLETE"}
    stopped.send_signal(signal.SIGCONT)
    _, stderr = stopped.communicate(timeout=20)
    assert stopped.returncode == 0, stderr
    assert statuses(project) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["s\n", "s\n"]
    assert_sound(project)


@pytest.mark.parametrize(
    "what", ["another boot", "a pid that another process has by now"]
)
def test_no_other_process_is_killed_for_one_of_a_dead_worker(
    project: Path, tmp_path: Path, what: str
) -> None:
    config(
        project,
        "a",
        f"echo s >> {tmp_path}/begun; test -e {tmp_path}/go || exec sleep 60",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.kill()
    worker.communicate(timeout=20)
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        with opened(project) as database:
            if what == "another boot":
                database.execute(
                    "UPDATE workers SET boot = 'another', pid = ?", [foreign.pid]
                )
            else:
                database.execute("UPDATE workers SET pid = ?", [foreign.pid])
        (tmp_path / "go").touch()
        gitorch(project, "run")
        assert kinds(project) == ["lost", "succeeded"]
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
    assert_sound(project)


TASKS = 200
WORKERS = 50


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_fifty_workers_at_once_give_each_task_one_accepted_attempt(
    project: Path, tmp_path: Path
) -> None:
    """The queue is missing, so the first workers rebuild it from the records at the same time."""
    for number in range(TASKS):
        config(
            project, f"r{number}", f"echo s >> {tmp_path}/{number}", number=number
        )
    gitorch(project, "ready")
    for path in queue_of(project).parent.glob("queue.db*"):
        path.unlink()
    workers = [started(project, "run", "-j", "1") for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as readers:
        errors = list(
            readers.map(lambda worker: worker.communicate(timeout=200)[1], workers)
        )
    for worker, stderr in zip(workers, errors, strict=True):
        assert worker.returncode == 0, stderr
    assert set(statuses(project).values()) == {"COMPLETE"}
    assert [(tmp_path / str(number)).read_text() for number in range(TASKS)] == [
        "s\n"
    ] * TASKS
    messages = git(project, "log", "--format=%b", "gitorch/results")
    assert messages.count("Gitorch-Status: COMPLETE") == TASKS
    assert_sound(project)


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute('BEGIN IMMEDIATE')
print('in', flush=True)
input()
"""


def test_a_writer_stopped_inside_a_transaction_is_reported_and_status_still_works(
    project: Path,
) -> None:
    config(project, "a", "true")
    gitorch(project, "ready")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(queue_of(project))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGSTOP)
        waiting = started(project, "run")
        assert [
            run["status"] for run in gitorch_json(project, "status")["runs"]
        ] == ["WAITING"]
        _, stderr = waiting.communicate(timeout=40)
        assert waiting.returncode == 5, stderr
        assert "is locked: another program has been writing to it" in stderr
    finally:
        writer.kill()
        writer.communicate()
    gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert_sound(project)


KILLER = """
import os, time

def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])

shell = os.getppid()  # this program is a child of a shell
slot = parent(shell)
supervisor = parent(slot)
worker = parent(supervisor)
for pid in (worker, supervisor, slot):
    os.kill(pid, 9)
time.sleep(30)
"""


def test_a_task_that_kills_its_worker_fails_after_three_attempts_and_others_run(
    project: Path,
) -> None:
    """The task kills its slot, its supervisor and its worker."""
    commit_files(project, {"killer.py": KILLER})
    config(project, "bad", f"{sys.executable} killer.py; true")
    config(project, "good", "echo good")
    gitorch(project, "ready", "experiments/bad.yaml", "--priority", "5")
    gitorch(project, "ready", "experiments/good.yaml")
    codes = [gitorch(project, "run", code=None).returncode for _ in range(4)]
    assert codes[:3] == [-signal.SIGKILL] * 3
    assert codes[3] == 1
    assert statuses(project) == {"bad": "ERROR", "good": "COMPLETE"}
    assert kinds(project, "bad") == ["lost"] * 3
    assert_sound(project)


# -- kill, at every moment


def slow_checkout(project: Path, tmp_path: Path) -> None:
    """Let every checkout create the file `begun`, and wait until the file `go` exists."""
    gate = f"touch {tmp_path}/begun; while test ! -e {tmp_path}/go; do sleep 0.05; done; cat"
    git(project, "config", "filter.slow.smudge", gate)
    commit_files(
        project, {".gitattributes": "*.slow filter=slow\n", "a.slow": "a\n"}
    )


@pytest.mark.parametrize("moment", ["starting", "running", "finishing"])
def test_kill_of_a_run_that_is(project: Path, tmp_path: Path, moment: str) -> None:
    git(project, "config", "gitorch.grace", "1")
    rest = "exec sleep 60" if moment == "running" else "true"
    config(project, "a", f"touch {tmp_path}/ran; {rest}")
    gitorch(project, "ready")
    if moment == "starting":
        # Queue the run again, at a commit that is slow to check out and has no prepared worktree.
        shutil.rmtree(project.parent / "project.gitorch")
        slow_checkout(project, tmp_path)
        gitorch(project, "kill", "--yes", "a")
        (tmp_path / "go").touch()
        gitorch(project, "ready")
        (tmp_path / "go").unlink()
        (tmp_path / "begun").unlink()
        shutil.rmtree(project.parent / "project.gitorch")
    with (project / ".git/gitorch/lock").open("r+") as lock:
        if moment == "finishing":
            # While the lock is held, the worker cannot record the end of the task.
            fcntl.flock(lock, fcntl.LOCK_EX)
        worker = started(project, "run")
        if moment == "finishing":
            wait_for(
                lambda: list(
                    project.parent.glob("project.gitorch/*/log/t0/1/status.json")
                )
            )
        elif moment == "running":
            wait_for((tmp_path / "ran").exists)
        else:
            wait_for((tmp_path / "begun").exists)
        killer = started(project, "kill", "--yes", "a")
        wait_for(lambda: kill_was_requested(project))
    if moment == "starting":
        (tmp_path / "go").touch()
    _, stderr = killer.communicate(timeout=30)
    if moment == "finishing":
        assert killer.returncode in (0, 4), stderr
    else:
        assert killer.returncode == 0, stderr
    _, worked = worker.communicate(timeout=30)
    if killer.returncode == 0:
        assert worker.returncode == 1, worked
        assert "1 run killed: " in worked
        assert statuses(project) == {}
    else:
        assert worker.returncode == 0, worked
        assert statuses(project) == {"a": "COMPLETE"}
    assert (tmp_path / "ran").exists() == (moment != "starting")
    assert_sound(project)


def kill_was_requested(project: Path) -> bool:
    """Return True if the kill of every run in the queue was requested."""
    with opened(project) as database:
        return all(
            doomed for (doomed,) in database.execute("SELECT doomed FROM runs")
        )


# -- disks


@contextmanager
def mounted(directory: Path, *options: str | Path) -> Iterator[Path]:
    """Mount a file system at `directory`. The test is skipped without root."""
    directory.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    subprocess.run(["mount", *options, directory], check=True, capture_output=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def small(size: str) -> tuple[str, ...]:
    """Return mount's options for a tmpfs of this size."""
    return "-t", "tmpfs", "-o", f"size={size}", "none"


def grow(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", directory], check=True)


def fill(directory: Path, but: int) -> None:
    """Fill the file system, except for `but` bytes."""
    free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
    (directory / "filling").write_bytes(bytes(max(0, free - but)))


@pytest.mark.parametrize("what", ["the worktree", "the log", "the database", "git"])
def test_no_space_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The fault is reported, and `gitorch run` continues once the disk has more space."""
    commit_files(project, {"large.bin": os.urandom(300_000)})
    config(project, "a", "head -c 2000000 /dev/urandom", "echo second")
    if what == "git":
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            root = disk / "project"
            git(project, "config", "gitorch.workspace", str(tmp_path / "workspace"))
            shutil.copytree(project, root)
            no_space_then_room(root, disk, 256_000, "the results cannot be written")
    elif what == "the database":
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            git(project, "config", "gitorch.stateDir", str(disk))
            no_space_then_room(project, disk, 8_000, "is the disk full")
    else:
        with mounted(tmp_path / "disk", *small("4m")) as disk:
            git(project, "config", "gitorch.workspace", str(disk))
            if what == "the worktree":
                no_space_then_room(
                    project, disk, 100_000, "no more tasks are started"
                )
            else:
                no_space_then_room(project, disk, 1_000_000, "t0 ERROR")


def no_space_then_room(
    project: Path, disk: Path, before: int, message: str
) -> None:
    """Run with `before` bytes left on the disk, check the message, then run with more space."""
    gitorch(project, "ready")
    shutil.rmtree(
        next(disk.glob("project-*/*/tree"), disk / "none"), ignore_errors=True
    )
    fill(disk, but=before)
    failed = gitorch(project, "run", code=None)
    assert failed.returncode == 1, failed.stderr
    assert message in failed.stderr
    (disk / "filling").unlink()
    grow(disk)
    gitorch(project, "run", code=None)
    if statuses(project) == {"a": "ERROR"}:
        gitorch(project, "retry", "a")
        gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert kinds(project)[-1] == "succeeded"
    assert kinds(project).count("succeeded") == 1
    assert gitorch(project, "logs", "a", "--task", "t1").stdout == "second\n"
    assert_sound_at(project)


def assert_sound_at(project: Path) -> None:
    """Check the same as `assert_sound` does, except for the queue, which may be elsewhere."""
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 0
    assert git(project, "fsck", "--full", "--no-dangling") == ""
    wait_for(lambda: not processes(project))


def test_a_read_only_file_system_is_reported_and_results_can_be_read(
    project: Path,
) -> None:
    config(project, "a", "echo done")
    config(project, "b", "echo more", b=1)
    gitorch(project, "run", "experiments/a.yaml")
    with mounted(project, "--bind", project):
        subprocess.run(["mount", "-o", "remount,ro,bind", project], check=True)
        assert "read-only" in gitorch(project, "ready", code=None).stderr.casefold()
        for words in (["list"], ["show", "a"], ["logs", "a"], ["status"]):
            assert gitorch(project, *words).stdout
    gitorch(project, "run", "experiments")
    assert statuses(project) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert_sound(project)


FLOOD = 1 << 30


@pytest.mark.alone
def test_a_log_flood_of_a_gibibyte_leaves_the_workers_memory_flat(
    project: Path,
) -> None:
    line = "x" * 1023
    flood = f'import os; [os.write(1, b"{line}\\n" * 1024) for _ in range(1024)]'
    config(project, "a", f"{sys.executable} -c '{flood}'")
    config(project, "b", "echo small")

    def peak(name: str) -> int:
        """Run this config in a worker, and return the worker's peak memory in KiB."""
        gitorch(project, "ready", f"experiments/{name}.yaml")
        return peak_of_a_worker(project)

    small_log = peak("b")
    assert peak("a") - small_log < 60_000
    run_id = gitorch_json(project, "show", "a")["run"]["id"]
    log = f"gitorch/results:runs/{run_id[:2]}/{run_id}/tasks/t0/1/log.txt"
    pointer = git(project, "show", log)
    assert f"size {FLOOD}" in pointer
    assert_sound(project)
    shutil.rmtree(project / ".git/lfs")
    shutil.rmtree(project / ".git/gitorch/objects")


# -- clocks

# gitorch with a clock that jumps by `argv[1]` seconds, `argv[2]` seconds after its start.
SHIFTED = """
import datetime, os, sys, time
class datetime_(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
real, began = time.time, time.monotonic()
by, after = map(float, sys.argv[1:3])
sys.argv[1:3] = []
time.time = lambda: real() + (by if time.monotonic() - began > after else 0)
datetime.datetime = datetime_
from gitorch.__main__ import main
main()
"""


@pytest.mark.parametrize("hours", [2, -3])
def test_a_clock_that_jumps_while_a_worker_works(
    project: Path, tmp_path: Path, hours: int
) -> None:
    """Only the worker's clock jumps, because a test cannot set the machine's clock.

    The clock of the slots does not jump.
    """
    tries = f"echo s >> {tmp_path}/tries; sleep 0.3; test $(wc -l < {tmp_path}/tries) -ge 3"
    task = {
        "id": "t0",
        "command": tries,
        "gitorch": {"timeout": "30s", "retries": {"max": 4, "backoff": "0.3s"}},
    }
    write(project, "experiments/a.yaml", json.dumps({"tasks": [task]}))
    gitorch(project, "ready")
    worked = subprocess.run(
        [sys.executable, "-c", SHIFTED, str(hours * 3600), "0.6", "run"],
        cwd=project,
        timeout=60,
        check=False,
    )
    assert worked.returncode == 0
    assert kinds(project) == ["exit-code", "exit-code", "succeeded"]
    attempts = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert all(0 < attempt["duration_s"] < 20 for attempt in attempts)
    assert_sound(project)


# -- damaged or outdated files


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"token": 1}', b"\xff\xfe"])
def test_a_corrupt_status_file_only_loses_its_attempt(
    project: Path, tmp_path: Path, junk: bytes
) -> None:
    config(
        project,
        "a",
        f"touch {tmp_path}/begun; sleep 0.1; exit $(test -e {tmp_path}/go; echo $?)",
    )
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    worker.send_signal(signal.SIGSTOP)
    wait_for(
        lambda: list(project.parent.glob("project.gitorch/*/log/t0/1/status.json"))
    )
    [status] = project.parent.glob("project.gitorch/*/log/t0/1/status.json")
    status.write_bytes(junk)
    worker.kill()
    worker.communicate()
    (tmp_path / "go").touch()
    gitorch(project, "run")
    assert kinds(project) == ["lost", "succeeded"]
    assert_sound(project)


def test_gc_with_prune_now_and_worktrees_deleted_by_hand_while_a_worker_runs(
    project: Path, tmp_path: Path
) -> None:
    for number in range(20):
        config(
            project,
            f"r{number}",
            "sleep 0.05; echo 1 > {outputDir}/a",
            "cat {outputDir}/a",
            number=number,
        )
    gitorch(project, "ready")
    over = threading.Event()
    collected = 0

    def chores() -> None:
        nonlocal collected
        while not over.is_set():
            git(project, "gc", "-q", "--prune=now", check=False)
            git(project, "worktree", "prune", check=False)
            collected += 1

    collector = threading.Thread(target=chores)
    collector.start()
    try:
        waiting = sorted(project.parent.glob("project.gitorch/*/tree"))
        shutil.rmtree(waiting[-1])
        gitorch(project, "run", "-j", "2")
    finally:
        over.set()
        collector.join()
    assert collected > 1
    assert set(statuses(project).values()) == {"COMPLETE"}
    assert_sound(project)


def test_a_queue_of_an_older_format_is_migrated_and_one_of_a_newer_format_is_refused(
    project: Path,
) -> None:
    config(project, "a", "echo one", "echo two")
    gitorch(project, "ready")
    with opened(project) as database:
        rows = {
            "meta": database.execute("SELECT key, value FROM meta").fetchall(),
            "runs": database.execute(
                "SELECT seq, id, payload, worker FROM runs"
            ).fetchall(),
            "tasks": database.execute(
                "SELECT run, id, seq, position, priority, status, attempts, token, worker, started,"
                " outcome FROM tasks"
            ).fetchall(),
            "needs": database.execute(
                "SELECT run, task, needed FROM needs"
            ).fetchall(),
        }
    for path in queue_of(project).parent.glob("queue.db*"):
        path.unlink()
    schema, _, _ = (
        (TESTS / "database/format-1.sql").read_text().partition("INSERT INTO")
    )
    with opened(project) as database:
        database.executescript(schema)
        for table, values in rows.items():
            database.executemany(
                f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})",
                values,
            )
        database.execute("PRAGMA user_version = 1")
    assert [run["status"] for run in gitorch_json(project, "status")["runs"]] == [
        "WAITING"
    ]
    gitorch(project, "run")
    assert statuses(project) == {"a": "COMPLETE"}
    assert_sound(project)

    with opened(project) as database:
        database.execute("PRAGMA user_version = 99")
    refused = gitorch(project, "run", code=4).stderr
    assert "newer gitorch" in refused
    assert "upgrade" in refused
    with opened(project) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
