#!/usr/bin/env bash
# Pictures of every step of every lesson and of every view, in both themes, to be looked at before a release.
#
#   scripts/pictures.sh PROGRAM FOLDER [SESSION]
#
# PROGRAM is a built kvlens. Without a SESSION the built-in model's demo is captured with 16 windows into FOLDER. The
# views are taken of SESSION; lessons are given on the built-in prompts. Needs no display. LESSONS=no or VIEWS=no
# leaves one half out; SIZES and THEMES replace the sizes and themes.
set -euo pipefail
program=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
lessons=$(realpath "$(dirname "$0")/../app/help/lessons")
views=$(realpath "$(dirname "$0")/../app/help/views")
themes=${THEMES:-light dark}
demo=$folder/demo/demo.kvlens
session=${3:-$folder/sixteen.kvlens}

[ -e "$demo" ] || "$program" demo --no-window --out "$folder/demo" >"$folder/demo.log" 2>&1
if [ ! -e "$session" ]; then
    "$program" capture --model demo --data facts:length=512,samples=2 facts:length=512,question=start,samples=2 \
        --windows last:4 last:8 last:16 last:32 last:64 laq:n=8 laq++:w=8,n=8 dapq:n=32 judge-q lookahead-kv \
        tova h2o streaming expected knorm random --decode 16 --out "$session" >"$folder/sixteen.log" 2>&1
fi

# picture NAME SESSION SCRIPT SIZE...: one for each size and theme
picture() {
    local name=$1 of=$2 script=$3 size theme
    shift 3
    printf '%s\n' "$script" >"$folder/$name.json"
    for size in "$@"; do
        for theme in $themes; do
            "$program" open "$of" --script "$folder/$name.json" --size "$size" --theme "$theme" \
                --screenshot "$folder/$name-$size-$theme.png" || echo "no picture: $name $size $theme" >&2
        done
    done
}

# A press of Next shows first what a step asks one to predict, and then the step.
lesson_pictures() {
    local number=0 file presses press script
    for file in "$lessons"/*.md; do
        presses=$(grep -cE '^## |^### Predict' "$file")
        script="{\"StartLesson\": $number}"
        for press in $(seq 1 "$presses"); do
            # shellcheck disable=SC2086
            picture "lesson-$((number + 1))-$(printf %02d "$press")" "$demo" "[$script]" ${SIZES:-1280x720 1920x1080}
            script="$script, {\"StepLesson\": 1}"
        done
        number=$((number + 1))
    done
}

# The name of a view as scripts write it, from its page: head_map is HeadMap.
view_pictures() {
    local page name
    for page in "$views"/*.md; do
        name=$(basename "$page" .md | sed -E 's/(^|_)([a-z])/\U\2/g')
        # shellcheck disable=SC2086
        picture "view-$name" "$session" "[{\"ShowPane\": \"$name\"}]" ${SIZES:-1280x720 1920x1080 2560x1440}
        # shellcheck disable=SC2086
        picture "alone-$name" "$session" "[{\"ShowPane\": \"$name\"}, \"TogglePresentation\"]" ${SIZES:-1280x720}
    done
}

[ "${LESSONS:-yes}" = no ] || lesson_pictures
[ "${VIEWS:-yes}" = no ] || view_pictures
