#!/usr/bin/env bash
# page_moves.sh BUILD SOURCE: a real pointer over the charts: hovering shows what is there, dragging
# looks closer, a double click goes back; keys, legends and switches.
. "$(dirname "$0")/browser.bash"
start_browser

hover() { # TITLE SHARE_X SHARE_Y
    pointer "move 5 5" "move $(place_of "$1" "$2" "$3")"
}
drag() { # TITLE FROM TO
    pointer "move $(place_of "$1" "$2" 0.5)" down "move $(place_of "$1" "$3" 0.6)" up
}

make_page run
show_page run
hover Loss 0.5 0.5
check page_hovered '"Loss", "^Steps 20.. .*loss +3\\.|^Steps 1[89].. .*loss +3\\."'
drag Loss 0.25 0.5
check page_zoomed '"Loss", 1007, 2005, true'
hover Loss 0.5 0.5
check page_hovered '"Loss", "^Steps 1[45]"'
place=$(place_of Loss 0.5 0.5)
pointer "move $place" down up down up
check page_zoomed '"Loss", 0, 4000, false'
drag "Gradient norm" 0.5 0.75
check page_zoomed '"Gradient norm", 2000, 3000, true'
run_text 'cardOf("Gradient norm").querySelector(".reset").click(); return "";' reset
check page_zoomed '"Gradient norm", 0, 4000, false'
check page_keys
check page_switches

# The map: over the thumbnail of a point, wherever it was put.
map="t-SNE of 100 test embeddings"
run_text 'const chart = chartOf("'"$map"'");
          chart.canvas.scrollIntoView({block: "center", behavior: "instant"});
          const point = chart.getDatasetMeta(3).data[0];
          document.title = [point.x - chart.chartArea.left, point.y - chart.chartArea.top].map((at, i) =>
              at / (i ? chart.chartArea.height : chart.chartArea.width)).join(" ");
          return "";' "where a point is"
ask GET /title
read -r x y <<<"$(answer value)"
hover "$map" "$x" "$y"
check page_hovered "\"$map\", \"cat|dog|bird|deer|frog\""
no_errors run

make_page long
show_page long
hover Loss 0.5 0.5
check page_hovered '"Loss", "^Steps "'
run_text 'const chart = chartOf("Loss");
          expect(chart.data.datasets[0].data.length < 8000, chart.data.datasets[0].data.length + " points are drawn");
          const begin = performance.now();
          for (let i = 0; i < 10; i++)
              chart.update("none");
          expect(performance.now() - begin < 5000, "ten updates take " + (performance.now() - begin) + " ms");
          return verdict();' "20,000 points"
drag Loss 0.5 0.52
check page_zoomed '"Loss", 2000, 2080, true'
no_errors long
finish
