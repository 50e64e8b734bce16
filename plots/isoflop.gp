# IsoFLOP: at each budget the losses over size, the parabola through them and its vertex. Refused budgets are grey and dashed, with no vertex.
# Given: BUDGETS, REFUSED, SERIES (0: too many budgets for a legend), LABEL_1... Tables: STEM.tsv, STEM-parabolas.tsv, STEM-vertices.tsv.
COLUMNS = 3
SERIES_ROWS = (SERIES + COLUMNS - 1) / COLUMNS
LINE_ROWS = 1 + (REFUSED > 0)
KEY_HEIGHT = 0.145 * (LINE_ROWS + (SERIES > 0 ? SERIES_ROWS + 1 : 3)) + 0.1
HEIGHT = TITLE_HEIGHT + 2.4 + 0.42 + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.4) / HEIGHT
stats STEM.'.tsv' using 2 skip 1 nooutput
CHEAPEST = STATS_min; DEAREST = STATS_max
stats STEM.'.tsv' using 3 skip 1 nooutput
FIRST = STATS_min; LAST = STATS_max
stats STEM.'.tsv' using 5 skip 1 nooutput
LOW = STATS_min / 1.03; HIGH = STATS_max * 1.03
set xrange [FIRST / 1.3:LAST * 1.3]
set yrange [LOW:HIGH]
eval MARK_AXIS
eval mark_axis('x', FIRST / 1.3, LAST * 1.3)
set title TITLE
set xlabel 'model size P [parameters]' offset 0,0.3
set ylabel METRIC_LABEL noenhanced font label_font(METRIC_LABEL, 2.4) offset Y_SHIFT + 0.5,0
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
hue(i, flops) = SERIES > 0 ? shade(i) : (DEAREST > CHEAPEST ? log(flops / CHEAPEST) / log(DEAREST / CHEAPEST) : 0)
mark(i) = SERIES > 0 ? MARKS[i] : 6
COMMAND = "plot "
if (REFUSED > 0) {
    COMMAND = COMMAND."STEM.'-parabolas.tsv' using ($5 == 1 ? $3 : NaN):4 skip 1 with lines linewidth 0.7 dashtype (3,2) linecolor rgb '#a8a8a8' notitle, "
    COMMAND = COMMAND."STEM.'.tsv' using ($6 == 1 ? $3 : NaN):5 skip 1 with points pointtype 2 pointsize 0.3 linewidth 0.6 linecolor rgb '#a8a8a8' notitle, "
    COMMAND = COMMAND."NaN with linespoints linewidth 0.7 dashtype (3,2) pointtype 2 pointsize 0.3 linecolor rgb '#a8a8a8' title sprintf('refused, not in the fit: %d of %d budgets', REFUSED, BUDGETS), "
}
COMMAND = COMMAND."STEM.'-parabolas.tsv' using ($5 == 0 ? $3 : NaN):4:(hue($1, $2)) skip 1 with lines linewidth 0.9 linecolor palette notitle, "
if (SERIES > 0) {
    COMMAND = COMMAND."for [i = 1:SERIES] STEM.'.tsv' using ($6 == 0 && int($1) == i ? $3 : NaN):5 skip 1 with points pointtype MARKS[i] pointsize 0.4 linewidth 0.7 linecolor palette cb shade(i) notitle, "
} else {
    COMMAND = COMMAND."STEM.'.tsv' using ($6 == 0 ? $3 : NaN):5:(hue($1, $2)) skip 1 with points pointtype 6 pointsize 0.3 linewidth 0.6 linecolor palette notitle, "
}
COMMAND = COMMAND."STEM.'-vertices.tsv' using 3:5 skip 1 with points pointtype 7 pointsize 0.6 linecolor rgb LAW_COLOUR title 'vertex: the best size at its budget'"
if (SERIES == 0) {
    set colorbox horizontal user origin screen 0.2, screen 0.36 / HEIGHT size screen 0.7, screen 0.09 / HEIGHT
    set cbtics (gprintf('%.0t*10^{%T}', CHEAPEST) 0, gprintf('%.0t*10^{%T}', sqrt(CHEAPEST * DEAREST)) 0.5, gprintf('%.0t*10^{%T}', DEAREST) 1)
    set cblabel 'budget [floating-point operations]' offset 0,0.4
}
eval COMMAND
if (SERIES > 0) {
    unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid
    set key at screen 0.03, screen (KEY_HEIGHT - 0.145 * LINE_ROWS - 0.03) / HEIGHT top left vertical maxrows SERIES_ROWS Left reverse title 'budget [floating-point operations]' left width 1
    set xrange [1:2]; set yrange [1:2]
    plot for [i = 1:SERIES] NaN with linespoints pointtype MARKS[i] pointsize 0.4 linewidth 0.8 linecolor palette cb shade(i) title value(sprintf('LABEL_%d', i))
}
unset multiplot
