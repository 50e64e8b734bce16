# The bootstrap's draws of the law's two exponents. Given: DRAWS; ALPHA, BETA with _LO, _HI (their intervals, or NaN), _FROM, _TO (the
# axes), _LABEL.
# Table: STEM.tsv.
BANDED = (ALPHA_LO == ALPHA_LO) && (BETA_LO == BETA_LO)
KEY_HEIGHT = 0.145 * (2 + BANDED) + 0.08
HEIGHT = TITLE_HEIGHT + 2.5 + 0.42 + KEY_HEIGHT
@OPEN
set output STEM.'.'.FORMAT
eval SIDES
set lmargin at screen 0.62 / WIDTH
set tmargin at screen 1 - TITLE_HEIGHT / HEIGHT
set bmargin at screen 1 - (TITLE_HEIGHT + 2.5) / HEIGHT
unset logscale
set format x '%g'
set format y '%g'
set xrange [ALPHA_FROM:ALPHA_TO]
set yrange [BETA_FROM:BETA_TO]
set title TITLE
set xlabel ALPHA_LABEL offset 0,0.3
set ylabel BETA_LABEL offset Y_SHIFT + 0.5,0
set key at screen 0.03, screen KEY_HEIGHT / HEIGHT top left vertical maxcols 1 Left reverse
SIZE = DRAWS > 2000 ? 0.12 : 0.2
if (BANDED) { set object 1 rectangle from ALPHA_LO, BETA_LO to ALPHA_HI, BETA_HI front fillstyle empty border linecolor rgb LAW_COLOUR linewidth 0.9 dashtype (5,3) }
COMMAND = "plot STEM.'.tsv' using 1:2 skip 1 with points pointtype 7 pointsize SIZE linecolor rgb '#805f9bc4' title sprintf('%d bootstrap resamples', DRAWS), "
if (BANDED) { COMMAND = COMMAND."NaN with lines linewidth 0.9 dashtype (5,3) linecolor rgb LAW_COLOUR title '95 % interval of each exponent', " }
COMMAND = COMMAND."'+' using (ALPHA):(BETA) every 1000 with points pointtype 2 pointsize 0.8 linewidth 1.8 linecolor rgb BLACK title 'fit to all runs'"
eval COMMAND
unset output
