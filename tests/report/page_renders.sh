#!/usr/bin/env bash
# page_renders.sh BUILD SOURCE: pages of every kind are drawn with what belongs on them, without a
# word on the console and without asking the network; names are text, whatever they hold.
. "$(dirname "$0")/browser.bash"
start_browser
of_run="views map neighbours confusion attention configuration environment"
curves="curves collapse schedules"

make_page run
show_page run
check page_sections "\"outcome $curves $of_run\", 14"
check page_numbers
no_errors run

make_page bare
show_page bare
check page_sections '"outcome", 0'
no_errors bare

make_page comparison "$checks/comparison_example.json"
show_page comparison
check page_sections "\"outcome comparison $curves $of_run\", 16"
check page_paired
no_errors comparison

make_page sweep "$checks/sweep_example.json"
show_page sweep
check page_sections "\"outcome sweep $curves $of_run\", 15"
check page_swept
no_errors sweep

make_page hostile
show_page hostile
no_errors hostile
check page_harmless
finish
