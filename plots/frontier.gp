# P*(C) and N*(C), stacked. Given: RUNS, LAW, BANDED, ISOFLOP, LAW_PARAMS, LAW_EXAMPLES, ISOFLOP_PARAMS, ISOFLOP_EXAMPLES (exponents as text).
# Tables: STEM.tsv, STEM-isoflop.tsv.
HEIGHT = 5.6
@OPEN
set output STEM.'.'.FORMAT
set multiplot
set format y '10^{%T}'
set lmargin 7.5
set rmargin 1.5
set key bottom center vertical maxcols 1 Left reverse
panel(column, exponent, reference) = sprintf("%s%s%sSTEM.'.tsv' using 1:%d skip 1 with lines linewidth 1 dashtype (6,4) linecolor rgb GREY title 'slope reported in \"Scaling MLPs\" (2023): %s'", \
    LAW && BANDED ? sprintf("STEM.'.tsv' using 1:%d:%d skip 1 with filledcurves linecolor rgb BAND fillstyle solid noborder title '95 %% band of the parametric law', ", column + 1, column + 2) : '', \
    LAW ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1.4 linecolor rgb BLUE title 'parametric law, slope '.LAW_%s, ", column, exponent) : '', \
    ISOFLOP ? sprintf("STEM.'.tsv' using 1:%d skip 1 with lines linewidth 1.2 dashtype (2,2) linecolor rgb VERMILION title 'IsoFLOP, slope '.ISOFLOP_%s, STEM.'-isoflop.tsv' using 1:%d skip 1 with points pointtype 7 pointsize 0.55 linecolor rgb VERMILION title 'IsoFLOP optimum of one compute budget', ", column + 3, exponent, exponent eq 'PARAMS' ? 2 : 3) : '', \
    column + 4, reference)

set tmargin at screen 0.955
set bmargin at screen 0.67
set key at screen 0.54, screen 0.525
set title sprintf("%s on %s: compute-optimal models, %d runs", SWEEP, DATA, RUNS)
set ylabel 'parameters P*'
unset xlabel
eval 'plot '.panel(2, 'PARAMS', '0.35')

unset title
set tmargin at screen 0.50
set bmargin at screen 0.225
set key at screen 0.54, screen 0.01
set ylabel 'training examples N*'
set xlabel sprintf("training compute C [FLOP, floating-point operations]\n%s", FLOPS_TEXT) noenhanced offset 0,0.2
eval 'plot '.panel(7, 'EXAMPLES', '0.65')
unset multiplot
