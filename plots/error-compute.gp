# Error against compute: every finished run, one marker and shade a size; the fitted frontier with its band; the lowest error so far.
# Given: SIZES, SERIES (0: too many sizes for a legend), COLUMNS of the legend, LABEL_1.., LAW, POWER (a law of compute alone), BANDED, NARROW (the band is within the line), AMONG and BEYOND (parts
# of the frontier lie among the runs and beyond them). Tables: STEM.tsv, STEM-law.tsv, STEM-power.tsv, STEM-envelope.tsv.
SIZE_ROWS = (SERIES + COLUMNS - 1) / COLUMNS
KEY_ROWS = (SERIES > 0 ? SIZE_ROWS + 1 : 4)
LINE_ROWS = 1 + BANDED + AMONG + BEYOND + POWER
KEY_HEIGHT = 0.145 * (KEY_ROWS + LINE_ROWS) + 0.1
HEIGHT = TITLE_HEIGHT + 2.1 + LABEL_HEIGHT + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.1) / HEIGHT
# All that stats measures comes before the ranges, which it would obey.
stats STEM.'.tsv' using 2 skip 1 nooutput
SMALLEST = STATS_min; LARGEST = STATS_max
stats STEM.'.tsv' using 4 skip 1 nooutput
FIRST = STATS_min; LAST = STATS_max
stats STEM.'.tsv' using 5 skip 1 nooutput
LOW = STATS_min; HIGH = STATS_max
if (LAW) {
    stats STEM.'-law.tsv' using 2 skip 1 nooutput
    LOW = STATS_min < LOW ? STATS_min : LOW
    HIGH = STATS_max > HIGH ? STATS_max : HIGH
}
LOW = LOW / 1.07; HIGH = HIGH * 1.07
set xrange [FIRST / 1.4:LAST * 1.4]
set yrange [LOW:HIGH]
eval MARK_AXIS
set title TITLE
set ylabel METRIC_LABEL noenhanced font label_font(METRIC_LABEL, 2.1) offset Y_SHIFT + 0.5,0
# The lines are named first; the sizes have a legend of their own, below.
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
COMMAND = "plot "
if (BANDED) { COMMAND = COMMAND."STEM.'-law.tsv' using 1:3:4 skip 1 with filledcurves linecolor rgb LAW_BAND fillstyle solid noborder title '95 % interval of the fitted frontier'.(NARROW ? ': within its line' : ''), " }
if (SERIES == 0) {
    set cbrange [SMALLEST:LARGEST]
    set logscale cb
    set format cb '10^{%T}'
    set cblabel 'model size [parameters]'
    set colorbox horizontal user origin screen 0.2, screen 0.42 / HEIGHT size screen 0.7, screen 0.09 / HEIGHT
    COMMAND = COMMAND."STEM.'.tsv' using 4:5:2 skip 1 with points pointtype 7 pointsize 0.3 linecolor palette notitle, "
} else {
    COMMAND = COMMAND."for [i = 1:SERIES] STEM.'.tsv' using 4:(int($1) == i ? $5 : NaN) skip 1 with points pointtype MARKS[i] pointsize 0.42 linewidth 0.7 linecolor palette cb shade(i) notitle, "
}
COMMAND = COMMAND."STEM.'-envelope.tsv' using 1:2 skip 1 with steps linewidth 0.9 dashtype (1.5,2) linecolor rgb BLACK title 'lowest of all runs of at most C'"
if (AMONG) { COMMAND = COMMAND.", STEM.'-law.tsv' using 1:5 skip 1 with lines linewidth 1.6 linecolor rgb LAW_COLOUR title 'fitted frontier (parametric law)'" }
if (BEYOND) { COMMAND = COMMAND.", STEM.'-law.tsv' using 1:2 skip 1 with lines linewidth 0.9 dashtype (5,3) linecolor rgb LAW_COLOUR title (AMONG ? 'the frontier' : 'fitted frontier').' beyond the sizes and data run'" }
if (POWER) { COMMAND = COMMAND.", STEM.'-power.tsv' using 1:2 skip 1 with lines linewidth 1.1 dashtype (8,2,2,2) linecolor rgb ISOFLOP_COLOUR title 'power law of the lowest'" }
eval COMMAND
if (SERIES > 0) {
    unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid
    set key at screen 0.03, screen (KEY_HEIGHT - 0.145 * LINE_ROWS - 0.03) / HEIGHT top left vertical maxrows SIZE_ROWS Left reverse title 'model size [parameters]' left width 1
    set xrange [1:2]; set yrange [1:2]
    plot for [i = 1:SERIES] NaN with points pointtype MARKS[i] pointsize 0.42 linewidth 0.7 linecolor palette cb shade(i) title value(sprintf('LABEL_%d', i))
}
unset multiplot
