"""Fifty things that may go wrong with a nightly job, a training or a saved model, and the tests that cause each."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        number: in the order in which the project lists them.
        words: what happens.
        tests: where it is made to happen: ``tests/FILE.py::test_name``, by file.
        besides: what is covered otherwise, or by nobody, and why.
    """

    number: int
    words: str
    tests: dict[str, tuple[str, ...]]
    besides: str = ""


TRAINING = "tests/test_training_faults.py"
ARTIFACT = "tests/test_artifact.py"
ATOMIC = "tests/test_atomic.py"
CLI = "tests/test_cli_faults.py"
GOLDEN = "tests/test_golden.py"
ENVIRONMENT = "tests/test_environment.py"
RUN = "tests/batch/test_run.py"
RUN_FAULTS = "tests/batch/test_run_faults.py"
BATCH_CLI = "tests/batch/test_batch_cli.py"
JOB = "tests/batch/test_job.py"
MANY = "tests/batch/test_many_runs.py"
FILES = "tests/batch/test_files.py"
SPOOL = "tests/batch/test_spool.py"
SCHEDULE = "tests/batch/test_schedule.py"
SLOTS = "tests/batch/test_slots.py"
CONTRACT = "tests/batch/test_contract.py"
KNOWN = "tests/batch/test_known.py"
BACKFILL = "tests/batch/test_backfill.py"
KILLS = "tests/batch/sinks/test_kills.py"
FOLDER = "tests/batch/sinks/test_folder.py"
SQL = "tests/batch/sinks/test_sql.py"
SINKS = "tests/batch/sinks/test_every_sink.py"
NAMES = "tests/batch/sinks/test_names.py"
CLAIMS = "tests/batch/ledger/test_claims.py"
RUNS = "tests/batch/ledger/test_runs.py"
RETRY = "tests/batch/ledger/test_retry.py"
URLS = "tests/batch/ledger/test_urls.py"
MIGRATIONS = "tests/batch/ledger/test_migrations.py"
STORE = "tests/batch/models/test_store.py"
REFRESH = "tests/batch/models/test_refresh.py"
FALLBACK = "tests/batch/models/test_fallback.py"
MEMORY = "tests/batch/models/test_memory.py"
ALERTS = "tests/batch/watch/test_alerts.py"
LEARNING = "tests/training/test_learning.py"
FITS = "tests/training/test_training.py"

FAULTS = (
    Fault(
        1,
        "a run is killed at any point from reading to its last note",
        {
            RUN_FAULTS: (
                "test_a_run_killed_anywhere_leaves_old_or_new_and_the_next_makes_it_whole",
                "test_a_training_killed_anywhere_is_done_again",
                "test_a_delivery_from_the_spool_killed_anywhere_is_done_once",
            ),
            KILLS: (
                "test_after_every_kill_readers_see_old_or_new_and_one_run_more_puts_it_right",
                "test_drafts_of_the_dead_are_swept",
            ),
            CLAIMS: ("test_a_run_killed_at_any_point_shows_old_or_new_and_the_next_one_finishes_it",),
            MEMORY: ("test_a_run_killed_around_the_keeping_of_states_leaves_whole_ones_or_none",),
        },
    ),
    Fault(
        2,
        "a training is killed while it saves",
        {TRAINING: ("test_a_training_killed_while_it_saves_leaves_a_whole_checkpoint_and_the_next_goes_on",)},
    ),
    Fault(
        3,
        "the saving of a model is killed between its files",
        {
            TRAINING: ("test_a_model_whose_saving_is_killed_anywhere_is_the_old_one_or_the_new_one",),
            ARTIFACT: ("test_a_crash_at_any_write_leaves_the_old_model_whole",),
            STORE: (
                "test_killed_anywhere_the_store_names_a_complete_version_old_or_new",
                "test_killed_while_pruning_or_rolling_back_the_store_stays_whole",
            ),
        },
    ),
    Fault(
        4,
        "the power goes, and what was not synced with it",
        {
            ATOMIC: ("test_the_order_is_fsync_then_replace_then_fsync_of_the_folder",),
            TRAINING: ("test_writes_are_synced_before_they_are_named",),
            FOLDER: ("test_syncs_come_in_the_order_that_survives_a_power_cut",),
            URLS: ("test_sqlite_is_set_up_to_lose_nothing",),
        },
    ),
    Fault(
        5,
        "the disk is full",
        {
            FOLDER: (
                "test_a_full_disk_leaves_the_old_forecasts_and_nothing_else",
                "test_no_room_for_the_manifest_shows_readers_the_old_file",
            ),
            SPOOL: ("test_a_full_disk_is_named_and_leaves_nothing",),
            STORE: ("test_a_full_disk_leaves_the_store_as_it_was",),
            REFRESH: ("test_a_disk_that_is_full_leaves_the_model_in_place",),
            TRAINING: ("test_a_disk_that_refuses_a_checkpoint_or_a_model_is_named_with_what_is_needed",),
            CLI: ("test_a_full_disk_is_one_line_that_says_where_and_how_much",),
        },
    ),
    Fault(
        6,
        "the disk fails while it is read, or a quota while it is written",
        {
            FILES: ("test_a_disk_that_fails_is_a_matter_of_storage",),
            TRAINING: (
                "test_a_disk_that_fails_to_read_a_model_is_told_and_its_file_named",
                "test_a_checkpoint_that_the_disk_fails_to_read_is_told_and_training_starts_anew",
                "test_a_disk_that_refuses_a_checkpoint_or_a_model_is_named_with_what_is_needed",
            ),
            STORE: ("test_a_disk_that_fails_under_the_current_version_gives_way_to_the_last_good_one",),
        },
    ),
    Fault(
        7,
        "a folder may not be written to",
        {
            FOLDER: ("test_a_folder_without_the_right_to_write_is_refused_before_anything_is_done",),
            SQL: ("test_a_user_without_the_right_to_write_is_refused_before_anything_is_done",),
            RUN: ("test_a_sink_that_does_not_fit_fails_before_any_training",),
            "tests/test_cli.py": ("test_a_place_that_cannot_be_saved_to_is_refused_before_training",),
        },
    ),
    Fault(
        8,
        "where a folder should be is a link or a file",
        {
            FOLDER: (
                "test_a_symbolic_link_is_refused_and_what_it_leads_to_untouched",
                "test_a_symbolic_link_further_down_is_refused",
                "test_a_file_in_the_way_is_named_and_kept",
            ),
            ARTIFACT: ("test_a_link_is_not_written_through", "test_a_place_below_a_file_is_refused"),
        },
    ),
    Fault(
        9,
        "the database is away when a run starts",
        {
            SPOOL: (
                "test_a_server_that_is_down_loses_nothing",
                "test_what_could_not_be_delivered_is_delivered_later_and_equal",
            ),
            RUN: (
                "test_a_sink_that_is_away_gets_its_forecasts_from_the_next_run",
                "test_a_ledger_that_is_away_does_not_stop_the_forecasts",
            ),
            RETRY: (
                "test_a_server_that_comes_up_late_is_waited_for",
                "test_a_server_that_stays_away_ends_in_a_clear_error_without_the_password",
            ),
        },
    ),
    Fault(
        10,
        "the connection is lost within a transaction",
        {
            SQL: (
                "test_a_connection_lost_in_the_middle_leaves_nothing_and_is_made_good",
                "test_an_error_within_the_rows_leaves_zero_of_them_on_sqlite",
            ),
            RUNS: ("test_a_connection_that_the_server_ends_in_the_middle_leaves_nothing",),
            "tests/batch/test_tables.py": (
                "test_a_connection_cut_in_the_middle_is_made_again_and_the_whole_query_read",
            ),
        },
    ),
    Fault(
        11,
        "the commit arrives and its answer does not",
        {
            SQL: ("test_an_answer_lost_on_its_way_neither_loses_nor_doubles",),
            RUNS: ("test_a_wire_cut_at_the_commit_doubles_nothing_and_loses_nothing",),
        },
    ),
    Fault(
        12,
        "a table or a file is locked, or two transactions wait for each other",
        {
            SQL: (
                "test_a_file_that_another_holds_is_waited_for",
                "test_a_row_that_another_locks_on_postgres_is_waited_for",
            ),
            RETRY: (
                "test_a_file_that_is_never_let_go_ends_in_a_clear_error_and_nothing_is_changed",
                "test_of_two_transactions_in_each_others_way_both_get_through",
            ),
            FOLDER: ("test_a_lock_that_nobody_lets_go_is_waited_for_and_then_named",),
            ATOMIC: ("test_who_holds_a_folder_is_waited_for",),
        },
    ),
    Fault(
        13,
        "somebody has changed the table",
        {
            SQL: (
                "test_a_table_that_others_changed_is_refused_and_left_alone",
                "test_a_column_of_another_type_is_refused",
                "test_duckdb_refuses_a_changed_table",
            ),
            RUN: ("test_a_sink_that_does_not_fit_fails_before_any_training",),
        },
    ),
    Fault(
        14,
        "the same run is started several times at once",
        {
            RUN_FAULTS: ("test_eight_runs_at_once_publish_once",),
            CLAIMS: ("test_eight_processes_at_once_commit_once",),
            SINKS: ("test_many_processes_with_the_same_publication_leave_it_once",),
        },
    ),
    Fault(
        15,
        "different runs write to one place at once",
        {
            RUN_FAULTS: ("test_runs_of_different_slots_at_once_are_all_published",),
            CLAIMS: ("test_four_jobs_at_once_in_one_database_all_commit",),
            SINKS: (
                "test_two_processes_publish_different_jobs_at_once",
                "test_many_threads_publish_different_slots_at_once",
            ),
        },
    ),
    Fault(
        16,
        "an owner of a slot seems dead and comes back",
        {
            CLAIMS: (
                "test_a_stopped_owner_that_wakes_up_late_cannot_commit",
                "test_an_owner_that_gave_no_sign_of_life_for_a_lease_is_taken_over_and_fenced",
                "test_an_owner_stopped_within_the_sinks_transaction_is_thrown_out_by_the_server",
            ),
            SINKS: ("test_an_owner_that_comes_back_to_life_is_fenced",),
        },
    ),
    Fault(
        17,
        "runs of the command line start in one second",
        {CLI: ("test_sixteen_runs_that_start_in_one_second_have_sixteen_folders",)},
    ),
    Fault(
        18,
        "the clock jumps",
        {
            SCHEDULE: (
                "test_back_by_three_hours_repeats_nothing",
                "test_ahead_is_treated_as_time_that_was_slept_through",
                "test_whatever_it_does_no_slot_runs_twice_and_none_is_lost",
                "test_a_clock_that_jumps_does_not_make_it_longer",
            ),
            CLAIMS: ("test_a_clock_that_jumped_costs_at_most_the_claim_and_never_two_commits",),
            RUNS: ("test_a_clock_that_was_set_back_makes_no_version_older_than_the_one_before",),
        },
    ),
    Fault(
        19,
        "local days of 23 and of 25 hours",
        {
            SLOTS: (
                "test_daily_jobs_run_once_for_each_local_day",
                "test_the_table_has_thirty_zones_with_both_changes",
                "test_a_time_that_is_skipped_moves_to_the_change_and_one_that_comes_twice_counts_first",
            ),
            SCHEDULE: ("test_a_change_of_the_clocks_costs_no_run_and_adds_none",),
        },
    ),
    Fault(
        20,
        "the machine was off for days",
        {
            SCHEDULE: (
                "test_after_three_days_none_the_latest_or_all_run",
                "test_years_of_minutes_are_bounded_and_said",
            ),
            "tests/batch/test_misfire.py": ("test_of_three_missed_days_none_the_latest_or_all_run",),
            "tests/batch/test_slot_book.py": ("test_people_can_list_what_was_skipped",),
        },
    ),
    Fault(
        21,
        "a run takes longer than the time between two",
        {
            SCHEDULE: (
                "test_nothing_overlaps_and_each_slot_is_accounted_for",
                "test_a_single_long_run_lets_the_next_slot_follow",
            ),
            "tests/batch/test_misfire.py": ("test_of_three_slots_behind_a_long_run_none_the_latest_or_all_run",),
        },
    ),
    Fault(
        22,
        "only a part of the data has arrived",
        {
            CONTRACT: (
                "test_data_of_which_half_has_arrived_fail_at_dawn_and_pass_when_the_rest_is_there",
                "test_series_of_the_run_before_must_have_arrived",
            ),
            "tests/batch/test_month.py": ("test_rows_that_are_late_move_the_cutoff_of_their_series_alone",),
        },
    ),
    Fault(
        23,
        "rows are corrected later",
        {
            RUNS: (
                "test_a_changed_input_makes_a_new_version_and_keeps_the_old",
                "test_as_of_tells_what_was_known_then",
                "test_a_correction_that_is_taken_back_makes_the_old_forecasts_current_again",
            ),
            RUN: ("test_changed_data_make_a_new_version_and_the_old_one_stays_readable",),
            KNOWN: ("test_of_a_corrected_row_the_version_known_then_counts",),
        },
    ),
    Fault(
        24,
        "months are made up for",
        {
            BACKFILL: ("test_sixty_days_at_once_equal_sixty_daily_runs_bit_for_bit",),
            KNOWN: ("test_whatever_stands_in_later_rows_changes_nothing",),
            REFRESH: ("test_a_backfill_uses_no_model_of_its_future",),
        },
    ),
    Fault(
        25,
        "the input changes during the run",
        {
            FILES: (
                "test_files_that_change_while_they_are_read_are_read_again_all_of_them",
                "test_a_change_that_leaves_size_and_time_as_they_were_shows_when_the_file_was_replaced",
                "test_files_that_go_on_changing_are_given_up_in_time",
            ),
            "tests/batch/test_source.py": ("test_nobody_can_change_the_frame_during_the_run",),
            "tests/batch/test_tables.py": ("test_all_chunks_are_of_one_moment",),
        },
    ),
    Fault(
        26,
        "one series of a hundred thousand is bad",
        {
            FALLBACK: (
                "test_a_hundred_thousand_series_take_seconds_with_one_bad_among_them",
                "test_good_series_do_not_change_by_a_bit_whatever_their_neighbours_are",
            ),
            RUN: ("test_a_bad_series_is_named_and_harms_no_other",),
            BATCH_CLI: ("test_some_bad_series_are_an_exit_code_of_their_own",),
        },
    ),
    Fault(
        27,
        "an input file is cut short",
        {
            FILES: (
                "test_a_parquet_file_cut_at_any_byte_is_named_with_its_size",
                "test_a_csv_file_that_says_how_long_it_is_is_refused_cut_at_any_byte",
                "test_a_csv_file_that_does_not_is_refused_unless_cut_just_between_two_lines",
                "test_a_zipped_csv_file_cut_at_any_byte_is_refused",
                "test_a_file_without_proof_is_refused_where_proof_is_required",
            ),
        },
    ),
    Fault(
        28,
        "a bit of a model or a checkpoint flips",
        {
            ARTIFACT: (
                "test_no_flipped_bit_is_ever_taken_for_a_model",
                "test_no_truncated_file_is_ever_taken_for_a_model",
            ),
            STORE: ("test_no_flipped_bit_changes_a_forecast_silently",),
            TRAINING: (
                "test_no_flipped_bit_of_a_checkpoint_is_ever_trained_on",
                "test_a_checkpoint_without_a_checksum_is_not_trusted",
            ),
        },
    ),
    Fault(
        29,
        "a file is of a newer or an older version",
        {
            GOLDEN: (
                "test_a_saved_model_forecasts_what_it_did",
                "test_a_job_goes_on_where_an_older_version_left_it",
                "test_a_format_of_the_future_is_refused_with_both_versions",
                "test_every_format_has_its_fixture",
            ),
            ARTIFACT: ("test_another_format_version_gives_a_clear_message",),
            STORE: (
                "test_a_model_of_a_newer_format_gives_way_with_the_reason",
                "test_an_account_of_a_newer_format_is_not_touched",
            ),
            MIGRATIONS: (
                "test_a_database_of_an_older_version_gets_what_it_lacks",
                "test_a_ledger_of_a_newer_version_is_left_alone",
            ),
            FOLDER: ("test_a_manifest_of_a_newer_version_says_so",),
        },
    ),
    Fault(
        30,
        "a model folder wants to run code",
        {
            ARTIFACT: (
                "test_a_pickle_beside_the_model_is_never_opened",
                "test_a_pickle_in_place_of_the_weights_is_refused_unopened",
                "test_a_foreign_class_is_never_built",
                "test_a_header_that_claims_ten_gigabytes_is_refused",
            ),
            STORE: ("test_a_pickle_planted_anywhere_in_the_store_is_never_opened",),
            "tests/ingest/test_archives.py": ("test_a_zip_that_swells_past_the_limit_is_refused",),
        },
    ),
    Fault(
        31,
        "settings want to call something, or to be resolved",
        {
            CLI: (
                "test_nothing_on_the_command_line_makes_us_call_what_it_names",
                "test_a_target_where_nothing_is_built_is_only_a_word",
                "test_a_jobs_file_can_name_nothing_to_call_and_no_folder_of_hydras",
                "test_what_was_saved_is_read_to_the_letter",
                "test_the_settings_of_a_run_that_is_reported_again_are_text",
            ),
            JOB: (
                "test_nothing_but_our_models_is_built",
                "test_variables_of_the_environment_are_put_in_and_never_kept",
            ),
            "tests/test_models.py": ("test_a_target_that_is_no_model_of_ours_is_refused",),
        },
    ),
    Fault(
        32,
        "a name wants out of its folder",
        {
            NAMES: ("test_no_name_leads_out_of_its_folder", "test_different_names_stay_different"),
            FOLDER: ("test_no_job_writes_outside_the_folder",),
            SPOOL: ("test_no_job_leaves_the_folder",),
            JOB: ("test_no_name_of_a_job_leads_out_of_its_folder",),
            ARTIFACT: (
                "test_a_file_name_that_leads_elsewhere_is_refused",
                "test_a_link_in_place_of_the_weights_is_refused",
            ),
            TRAINING: ("test_no_name_of_a_model_leads_a_checkpoint_or_a_log_out_of_its_folder",),
        },
    ),
    Fault(
        33,
        "a name or a text is a statement of SQL",
        {
            SQL: (
                "test_statements_in_names_and_texts_are_only_text",
                "test_a_table_name_that_is_none_is_refused",
                "test_an_output_that_is_a_statement_is_refused",
            ),
            CLAIMS: ("test_the_name_of_a_job_is_only_a_name",),
            "tests/batch/test_tables.py": ("test_the_slot_and_other_values_are_bound_in_the_query",),
        },
    ),
    Fault(
        34,
        "a text is a formula of a spreadsheet, or a line of a log",
        {
            FOLDER: ("test_csv_text_is_never_a_formula_and_comes_back_exactly",),
            ALERTS: ("test_a_log_line_stays_one_line_whatever_is_in_it",),
            "tests/ingest/test_door.py": ("test_a_hostile_id_cannot_break_out_of_its_message",),
        },
        besides="`forecast predict output=x.csv` writes ids to the letter: they are the user's own, for other programs.",
    ),
    Fault(
        35,
        "a password stands in an address",
        {
            BATCH_CLI: ("test_no_secret_gets_into_any_output_file_or_ledger",),
            URLS: ("test_no_text_about_a_database_shows_its_password", "test_plain_data_is_scrubbed_at_any_depth"),
            RUNS: ("test_passwords_are_nowhere",),
            JOB: ("test_secrets_are_masked_wherever_they_stand",),
            "tests/batch/watch/test_run_report.py": ("test_no_secret_is_in_the_page",),
        },
    ),
    Fault(
        36,
        "yaml or JSON that swells, nests or holds absurd numbers",
        {
            JOB: (
                "test_yaml_that_is_more_than_plain_values_is_refused",
                "test_a_file_that_is_no_settings_is_refused_without_quoting_it",
            ),
            ARTIFACT: (
                "test_what_is_no_manifest_is_refused",
                "test_a_forged_history_is_refused",
                "test_forged_facts_are_refused",
            ),
            RUNS: ("test_what_is_in_the_tables_is_json_that_others_can_read",),
        },
    ),
    Fault(
        37,
        "the loss is no number",
        {
            TRAINING: (
                "test_an_exploding_training_publishes_nothing_and_the_command_fails",
                "test_a_value_of_absurd_size_does_not_make_forecasts_that_are_none",
            ),
            FITS: (
                "test_lost_numbers_are_never_published",
                "test_a_non_finite_gradient_stops_training_with_the_step_and_a_remedy",
            ),
            REFRESH: (
                "test_a_training_that_diverges_leaves_the_model_in_place",
                "test_without_a_model_a_training_that_diverges_still_leaves_forecasts",
            ),
        },
    ),
    Fault(
        38,
        "gradients explode",
        {
            TRAINING: ("test_a_learning_rate_of_a_thousand_ends_in_finite_forecasts_or_in_a_clear_error",),
            FITS: ("test_a_huge_learning_rate_stays_finite_thanks_to_clipping",),
            "tests/training/test_gradients.py": (
                "test_norms_are_those_of_hand_arithmetic_before_clipping",
                "test_the_curve_holds_norms_by_layer_and_the_log_a_column_for_each",
            ),
        },
    ),
    Fault(
        39,
        "weights in a file are no numbers",
        {
            ARTIFACT: ("test_weights_that_are_not_finite_are_refused",),
            STORE: ("test_weights_that_are_not_numbers_are_refused_even_with_fresh_checksums",),
        },
    ),
    Fault(
        40,
        "memory runs out",
        {
            FALLBACK: ("test_when_memory_runs_out_fewer_series_are_forecast_at_a_time",),
            TRAINING: ("test_memory_that_runs_out_in_training_says_what_to_lower",),
            SCHEDULE: ("test_a_run_killed_for_memory_is_tried_again",),
        },
    ),
    Fault(
        41,
        "a worker that loads data is killed",
        {TRAINING: ("test_training_has_no_worker_processes_that_could_die",)},
        besides="There is none: windows are gathered in the process that trains.",
    ),
    Fault(
        42,
        "a worker that computes is killed",
        {
            "tests/baselines/test_series_pool.py": (
                "test_chunks_of_a_dead_worker_are_computed_here_with_a_warning",
                "test_forecasts_are_the_same_in_one_process_and_in_several",
            ),
        },
        besides="The pool of the baselines; a distributed engine brings tests of its own.",
    ),
    Fault(
        43,
        "SIGTERM or Ctrl-C, once or twice",
        {
            RUN_FAULTS: (
                "test_sigterm_ends_a_run_between_its_steps_and_the_next_run_does_it",
                "test_a_second_sigterm_stops_at_once_and_leaves_nothing_half",
            ),
            TRAINING: (
                "test_a_signal_ends_a_training_with_its_exit_code_and_the_next_resumes_bit_for_bit",
                "test_a_signal_in_the_training_of_a_job_ends_it_at_once_and_the_next_run_is_whole",
                "test_ctrl_c_stays_what_it_is_for_those_who_train_in_a_notebook",
            ),
            "tests/batch/test_schedule_processes.py": (
                "test_a_signal_is_passed_on_and_the_run_waited_for",
                "test_a_second_signal_kills_the_run_and_all_that_it_started",
            ),
            BACKFILL: ("test_a_signal_ends_a_backfill_after_the_slot_it_is_in",),
        },
    ),
    Fault(
        44,
        "a training goes on from its checkpoint",
        {
            FITS: ("test_an_interrupted_training_resumes_bit_for_bit",),
            LEARNING: ("test_an_interrupted_training_resumes_bit_for_bit_whatever_the_recipe",),
            "tests/training/test_stateful.py": ("test_an_interrupted_training_resumes_bit_for_bit",),
            "tests/training/test_snapshots.py": ("test_an_interrupted_training_keeps_the_same_nets_bit_for_bit",),
            TRAINING: ("test_a_training_killed_while_it_saves_leaves_a_whole_checkpoint_and_the_next_goes_on",),
        },
    ),
    Fault(
        45,
        "another process, hash seed, number of threads or order of rows",
        {
            ENVIRONMENT: ("test_a_net_is_the_same_to_the_last_bit_in_another_process_with_another_hash_seed",),
            TRAINING: ("test_threads_and_process_change_no_bit_of_a_training",),
            FITS: ("test_two_fits_with_one_seed_are_bit_equal_and_another_seed_differs",),
            "tests/test_invariants.py": ("test_row_order_changes_nothing",),
            "tests/batch/test_hashing.py": ("test_it_is_the_same_in_another_process", "test_many_rows_in_any_order"),
        },
    ),
    Fault(
        46,
        "another number of series at a time",
        {
            "tests/test_invariants.py": (
                "test_a_forecast_does_not_depend_on_the_batch_size",
                "test_a_forecast_does_not_depend_on_its_neighbours",
            ),
            FALLBACK: ("test_pieces_end_where_the_batches_of_nets_end",),
        },
    ),
    Fault(
        47,
        "no home, no network, no GPU, no optional package",
        {
            ENVIRONMENT: (
                "test_without_a_home_a_backtest_is_written_with_its_report",
                "test_without_a_network_a_download_says_how_to_go_on",
            ),
            TRAINING: ("test_an_accelerator_that_is_not_there_is_named",),
            CLI: ("test_a_driver_that_is_not_installed_is_named_with_its_extra",),
            SQL: ("test_duckdb_says_what_to_install_when_it_is_missing",),
            URLS: ("test_a_database_without_its_driver_names_the_package",),
        },
    ),
    Fault(
        48,
        "ten thousand runs lie behind a job",
        {
            MANY: (
                "test_the_list_of_runs_is_short_and_quick",
                "test_a_night_reads_no_forecasts_of_long_ago",
                "test_the_same_night_again_is_nothing_to_do",
            ),
        },
        besides="A sweep of very many jobs is a matter of the distributed engine, and brings tests of its own.",
    ),
    Fault(
        49,
        "a dependency is upgraded",
        {
            GOLDEN: ("test_a_saved_model_forecasts_what_it_did",),
            "tests/batch/test_hashing.py": ("test_the_hash_is_the_same_for_ever",),
        },
        besides="Which versions work together is a matter of the matrix that continuous integration runs.",
    ),
    Fault(
        50,
        "a job of a sweep fails",
        {
            CLI: ("test_a_sweep_in_which_a_job_fails_runs_the_others_lists_it_and_fails",),
            "tests/test_cli.py": (
                "test_a_job_that_fails_does_not_stop_the_sweep",
                "test_a_sweep_runs_every_job_in_a_folder_of_its_own",
            ),
        },
        besides="Its overrides are told, to be given again; running only what failed is up to the distributed engine.",
    ),
)


@cache
def marks_in(file: str) -> dict[str, str]:
    """The tests of a file, those in classes too: name -> its marks."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = {}
    for holder in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        outer = [ast.unparse(mark) for mark in getattr(holder, "decorator_list", ())]
        for node in holder.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = " ".join([*outer, *map(ast.unparse, node.decorator_list)])
    return found


def test_every_number_stands_once_and_in_order() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, 51))
    assert len({fault.words for fault in FAULTS}) == 50


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_every_fault_is_caused_by_tests_that_exist(fault: Fault) -> None:
    assert fault.words and any(fault.tests.values())
    named = [(file, name) for file, names in fault.tests.items() for name in names]
    assert [f"{file}::{name}" for file, name in named if name not in marks_in(file)] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_no_test_that_is_named_is_skipped_whatever_the_machine(fault: Fault) -> None:
    marks = {name: marks_in(file).get(name, "") for file, names in fault.tests.items() for name in names}
    assert [name for name, text in marks.items() if "xfail" in text or "mark.skip(" in text] == []
