# Lines of equal loss over size and data, the runs, and the efficient frontier. Given: AMONG and BEYOND (parts of the frontier), LAW_PARAMS.
# Tables: STEM.tsv (runs), STEM-lines.tsv (a blank line after each level), STEM-labels.tsv, STEM-frontier.tsv.
KEY_HEIGHT = 0.145 * (2 + AMONG + BEYOND) + 0.08
HEIGHT = TITLE_HEIGHT + 2.6 + 0.42 + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
eval SIDES
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.6) / HEIGHT
stats STEM.'.tsv' using 1 skip 1 nooutput
FIRST = STATS_min; LAST = STATS_max
stats STEM.'.tsv' using 2 skip 1 nooutput
set xrange [FIRST / 1.3:LAST * 1.3]
set yrange [STATS_min / 1.3:STATS_max * 1.3]
set format y '10^{%T}'
eval mark_axis('x', FIRST / 1.3, LAST * 1.3)
eval mark_axis('y', STATS_min / 1.3, STATS_max * 1.3)
set title TITLE
set xlabel 'model size P [parameters]' offset 0,0.3
set ylabel 'data N [examples]' offset Y_SHIFT,0
unset grid
set style textbox opaque noborder margins 0.4,0.3
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
COMMAND = "plot STEM.'-lines.tsv' using 2:3 skip 1 with lines linewidth 0.7 linecolor rgb ISOFLOP_COLOUR title 'equal '.METRIC.' by the fitted law', "
COMMAND = COMMAND."STEM.'.tsv' using 1:2 skip 1 with points pointtype 6 pointsize 0.28 linewidth 0.6 linecolor rgb GREY title 'runs', "
if (BEYOND) { COMMAND = COMMAND."STEM.'-frontier.tsv' using 2:3 skip 1 with lines linewidth 1 dashtype (5,3) linecolor rgb LAW_COLOUR title (AMONG ? 'the same' : 'efficient frontier').' beyond the sizes and data run', " }
if (AMONG) { COMMAND = COMMAND."STEM.'-frontier.tsv' using 4:3 skip 1 with lines linewidth 2 linecolor rgb LAW_COLOUR title 'efficient frontier: the lowest at each compute', " }
COMMAND = COMMAND."STEM.'-labels.tsv' using 2:3:(sprintf('%g', $1)) skip 1 with labels boxed center font 'DejaVu Sans,6' textcolor rgb ISOFLOP_COLOUR notitle"
eval COMMAND
unset output
