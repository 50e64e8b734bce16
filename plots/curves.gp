# Training curves: of each size the run that ends lowest in front, all runs in grey behind.
# Given: SERIES of SIZES, COLUMNS of the legend, EVERY (points from marker to marker), NAMING (of models), LABEL_1... Table: STEM.tsv, a blank line after each curve, series 0 the ones behind.
ROWS = (SERIES + COLUMNS - 1) / COLUMNS
KEY_HEIGHT = 0.145 * (ROWS + 2) + 0.05
SHOWN = SERIES < SIZES ? sprintf('%d of %d sizes', SERIES, SIZES) : 'each size'
HEIGHT = TITLE_HEIGHT + 2.1 + LABEL_HEIGHT + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
set multiplot
eval SIDES
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.1) / HEIGHT
stats STEM.'.tsv' using 4 skip 1 nooutput
FIRST = STATS_min; LAST = STATS_max
stats STEM.'.tsv' using 5 skip 1 nooutput
LOW = STATS_min / 1.05; HIGH = STATS_max * 1.05
set xrange [FIRST / 1.4:LAST * 1.4]
set yrange [LOW:HIGH]
eval MARK_AXIS
set title TITLE
set ylabel METRIC_LABEL noenhanced font label_font(METRIC_LABEL, 2.1) offset Y_SHIFT + 0.5,0
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
plot STEM.'.tsv' using (int($1) == 0 ? $4 : NaN):5 skip 1 with lines linewidth 0.4 linecolor rgb '#c4c4c4' title 'runs; thick: the best of '.SHOWN, \
    for [i = 1:SERIES] STEM.'.tsv' using (int($1) == i ? $4 : NaN):5 skip 1 with linespoints linewidth 1 pointtype MARKS[i] pointsize 0.35 pointinterval EVERY linecolor palette cb shade(i) notitle
unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid
set key at screen 0.03, screen (KEY_HEIGHT - 0.15) / HEIGHT top left vertical maxrows ROWS Left reverse title NAMING noenhanced left
set xrange [1:2]; set yrange [1:2]
plot for [i = 1:SERIES] NaN with linespoints linewidth 1 pointtype MARKS[i] pointsize 0.35 linecolor palette cb shade(i) title value(sprintf('LABEL_%d', i))
unset multiplot
