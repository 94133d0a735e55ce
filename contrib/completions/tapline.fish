# Completion of tapline for fish: asks the program itself (tapline --complete).
function __tapline_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (command $words[1] --complete $words[2..-1] 2>/dev/null)
        switch $line
            case ':files'
                set -l current (commandline -ct)
                set -l option (string match -r -- '^--[^=]*=' $current)
                string replace -r '^' -- "$option" (__fish_complete_path (string replace -- "$option" '' $current))
            case ':command *'
                set -l from (math (string replace ':command ' '' $line) + 2)
                complete -C (string join ' ' -- $words[$from..-1])
            case '*'
                echo $line
        end
    end
end
complete -c tapline -f -a '(__tapline_complete)'
