_shmctl_completion() {
    local item reply
    COMPREPLY=()
    mapfile -d '' -t reply < <(
        export _SHMCTL_COMPLETE=bash_complete
        "${1/#~\//$HOME/}" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null
    )
    for item in "${reply[@]}"; do
        case $item in
            plain,*) COMPREPLY+=("${item#*,}") ;;
            partial,*) COMPREPLY+=("${item#*,}"); compopt -o nospace ;;
            file,*) compopt -o default ;;
            command,*) mapfile -t COMPREPLY < <(compgen -c -- "${item#*,}"); compopt -o default ;;
        esac
    done
}

complete -o nosort -F _shmctl_completion shmctl
