# ab.sh N "cmdA" "cmdB": ratio B/A samples per second
N=$1; for i in $(seq $N); do a=$(eval "$2" | python3 -c 'import json,sys;print(json.load(sys.stdin)["samples_per_second"])'); b=$(eval "$3" | python3 -c 'import json,sys;print(json.load(sys.stdin)["samples_per_second"])'); echo "$a $b"; done | python3 -c '
import sys,statistics as s
r=[tuple(map(float,l.split())) for l in sys.stdin]; q=sorted(b/a for a,b in r); print("A %.0f B %.0f ratio median %.3f (%.3f to %.3f)"%(s.median(a for a,b in r),s.median(b for a,b in r),s.median(q),q[0],q[-1]))'
