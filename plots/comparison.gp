# The frontiers of several studies, stacked, each over the compute that it spent: the loss that is reached, P*(C), N*(C). Given: SERIES, BANDED,
# LOSSES (all have a law of one metric), NAME_1.., PARAMS_1.., EXAMPLES_1.. (slopes as text). Tables: STEM.tsv, a blank line after each study,
# and STEM-runs.tsv.
ROW = 0.145
KEY_HEIGHT = ROW * 2 * SERIES + 0.05
LOSS_KEY_HEIGHT = ROW * (SERIES + 1) + 0.05
PANEL = 1.75
LOSS_HEIGHT = LOSSES ? PANEL + 0.3 + LOSS_KEY_HEIGHT + 0.15 : 0
HEIGHT = TITLE_HEIGHT + LOSS_HEIGHT + PANEL + 0.3 + KEY_HEIGHT + 0.15 + PANEL + LABEL_HEIGHT + KEY_HEIGHT + ROW * BANDED + 0.07
array COLOURS[12] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000', '#7f7f7f', '#332288', '#882255', '#117733', '#999933']
array DASHES[12] = ['solid', '(6,3)', '(2,1.5)', '(8,2,2,2)', '(4,2)', '(1,2)', '(10,3)', '(6,2,1,2)', '(3,3)', '(12,4)', '(2,4)', '(5,1)']
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set format y '10^{%T}'
stats STEM.'.tsv' using 2 skip 1 nooutput
set xrange [STATS_min / 1.4:STATS_max * 1.4]
set key vertical maxcols 1 Left reverse
band(column) = BANDED ? sprintf("for [i = 1:SERIES] STEM.'.tsv' using (int($1) == i ? $2 : NaN):%d:%d skip 1 with filledcurves fillstyle transparent solid 0.2 noborder linecolor rgb COLOURS[i] notitle, ", column + 1, column + 2) : ''
draw(i, column) = sprintf("STEM.'.tsv' using (int($1) == %d ? $2 : NaN):%d skip 1 with lines linewidth 1.5 dashtype %s linecolor rgb '%s' title NAME_%d, ", i, column, DASHES[i], COLOURS[i], i)
# Two rows a study: its name beside the line, its slope below.
slope(i, side) = side eq '' ? '' : sprintf("NaN with lines linecolor rgb '#ffffff' title %s_%d, ", side, i)
lines(column, side, i) = i > SERIES ? '' : draw(i, column).slope(i, side).lines(column, side, i + 1)
legend(end) = end && BANDED ? "NaN with filledcurves fillstyle solid noborder linecolor rgb '#dddddd' title 'shaded: 95 % interval at each C'" : "NaN notitle"
set_range(column) = sprintf("set autoscale y; stats STEM.'.tsv' using %d skip 1 nooutput; LOW = STATS_min; HIGH = STATS_max; set yrange [LOW / 10 < * < LOW : HIGH < * < HIGH * 10]", column)
margins(top) = sprintf("set tmargin at screen %.6f; set bmargin at screen %.6f", 1 - top / HEIGHT, 1 - (top + PANEL) / HEIGHT)

set title TITLE
unset xlabel
TOP = TITLE_HEIGHT
if (LOSSES) {
    stats STEM.'-runs.tsv' using 5 skip 1 nooutput
    LOW = STATS_min; HIGH = STATS_max
    stats STEM.'.tsv' using 9 skip 1 nooutput
    LOW = (STATS_min < LOW ? STATS_min : LOW) / 1.07; HIGH = (STATS_max > HIGH ? STATS_max : HIGH) * 1.07
    eval margins(TOP)
    set yrange [LOW:HIGH]
    eval MARK_AXIS
    set key at screen 0.03, screen 1 - (TOP + PANEL + 0.25) / HEIGHT top left
    set ylabel METRIC_LABEL noenhanced font label_font(METRIC_LABEL, PANEL) offset Y_SHIFT + 0.5,0
    eval "plot ".band(9)."for [i = 1:SERIES] STEM.'-runs.tsv' using (int($1) == i ? $4 : NaN):5 skip 1 with points pointtype MARKS[i] pointsize 0.3 linewidth 0.5 linecolor rgb COLOURS[i] notitle, ".lines(9, '', 1)."NaN with points pointtype 7 pointsize 0.3 linecolor rgb '#7f7f7f' title 'points: runs; lines: the lowest by the fitted law'"
    unset title
    set ytics auto
    TOP = TOP + LOSS_HEIGHT
}
eval margins(TOP)
set key at screen 0.03, screen 1 - (TOP + PANEL + 0.25) / HEIGHT top left
set ylabel 'optimal size P* [parameters]' offset Y_SHIFT,0
eval set_range(3)
eval 'plot '.band(3).lines(3, 'PARAMS', 1).legend(0)

TOP = TOP + PANEL + 0.3 + KEY_HEIGHT + 0.15
unset title
eval margins(TOP)
set key at screen 0.03, screen 1 - (TOP + PANEL + LABEL_HEIGHT) / HEIGHT top left
set ylabel 'optimal data N* [examples]' offset Y_SHIFT,0
set xlabel X_LABEL noenhanced
eval set_range(6)
eval 'plot '.band(6).lines(6, 'EXAMPLES', 1).legend(1)
unset multiplot
