# Prediction against truth, of the runs of much compute by a law that was fitted to the others. Given: FITTED (how many), BANDED, LOW and HIGH
# (of both axes), FITTED_TITLE, SCORED_TITLE. Tables: STEM.tsv, STEM-fitted.tsv.
KEY_HEIGHT = 0.145 * (2 + (FITTED > 0) + BANDED) + 0.08
HEIGHT = TITLE_HEIGHT + 2.6 + 0.42 + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
eval SIDES
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.6) / HEIGHT
set xrange [LOW:HIGH]
set yrange [LOW:HIGH]
set format x '%g'
eval MARK_AXIS
eval mark_axis('x', LOW, HIGH)
set title TITLE
set xlabel 'measured '.METRIC_LABEL noenhanced font label_font('measured '.METRIC_LABEL, 2.6) offset 0,0.3
set ylabel 'predicted '.METRIC_LABEL noenhanced font label_font('predicted '.METRIC_LABEL, 2.6) offset Y_SHIFT + 0.5,0
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
COMMAND = "plot x with lines linewidth 0.7 linecolor rgb BLACK title 'prediction = truth', "
if (FITTED > 0) { COMMAND = COMMAND."STEM.'-fitted.tsv' using 4:5 skip 1 with points pointtype 6 pointsize 0.3 linewidth 0.6 linecolor rgb GREY title FITTED_TITLE, " }
if (BANDED) { COMMAND = COMMAND."STEM.'.tsv' using 4:5:6:7 skip 1 with yerrorbars pointtype 0 linewidth 0.7 linecolor rgb LAW_COLOUR title '95 % interval of the law', " }
COMMAND = COMMAND."STEM.'.tsv' using 4:5 skip 1 with points pointtype 7 pointsize 0.42 linecolor rgb LAW_COLOUR title SCORED_TITLE"
eval COMMAND
unset output
