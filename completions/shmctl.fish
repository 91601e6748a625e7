function _shmctl_completion
    set -l words (commandline -opc)
    set -l raw (commandline -ct)
    set -l current $raw
    for quote in '' \' '"'
        if set -l text (string unescape -- "$raw$quote")
            set current $text
            break
        end
    end
    set -l reply (_SHMCTL_COMPLETE=fish_complete $words "$current" 2>/dev/null | string split0)
    for at in (seq 1 3 (count $reply))
        set -l word $reply[(math $at + 1)]
        set -l help $reply[(math $at + 2)]
        switch $reply[$at]
            case file
                set -l option (string match -r -- '^--[^=]*=' "$current")
                set -l paths (__fish_complete_path (string replace -- "$option" '' "$current"))
                string replace -r -- '^' "$option" $paths | string join0
            case command
                complete -C "$raw" | string join0
            case '*'
                printf '%s\t%s\0' "$word" "$help"
        end
    end
end

complete --no-files --keep-order --command shmctl --arguments '(_shmctl_completion | string split0)'
