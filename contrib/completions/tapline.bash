# Completion of tapline for bash: asks the program itself (tapline --complete).
_tapline()
{
        local line=${COMP_LINE:0:COMP_POINT} word current
        local -a words=()

        # Not COMP_WORDS: bash breaks those at = and :.
        read -ra words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        current=${words[${#words[@]} - 1]}
        COMPREPLY=()
        while IFS=$'\t' read -r word _; do
                case $word in
                :files)
                        compopt -o filenames 2>/dev/null
                        while IFS= read -r word; do
                                COMPREPLY+=("$word")
                        done < <(compgen -f -- "${current#*=}")
                        ;;
                :command\ *)
                        if declare -F _command_offset >/dev/null; then
                                _command_offset $((${word#* } + 1))
                        else
                                while IFS= read -r word; do
                                        COMPREPLY+=("$word")
                                done < <(compgen -c -f -- "$current")
                        fi
                        ;;
                *)
                        [[ $word == *= ]] && compopt -o nospace 2>/dev/null
                        # Only what is behind the last = is replaced.
                        [[ $current == *=* ]] && word=${word#*=}
                        COMPREPLY+=("$word")
                        ;;
                esac
        done < <("${words[0]/#\~/$HOME}" --complete "${words[@]:1}" 2>/dev/null)
}
complete -F _tapline tapline
