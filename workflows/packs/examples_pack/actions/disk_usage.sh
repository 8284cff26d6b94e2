#!/bin/sh
# Parameters come as lines of dotenv on standard input.
set -eu
path=/
while IFS= read -r line; do
  case $line in
    path=*) path=${line#path=\'}; path=${path%\'} ;;
  esac
done
percent=$(df -P -- "$path" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
quoted=$(printf %s "$path" | sed 's/["\\]/\\&/g')
printf '{"path": "%s", "percent": %d}\n' "$quoted" "$percent"
