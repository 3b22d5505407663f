package fdpass

// markCloseOnExec has nothing to do: ReadMsgUnix asks the kernel for MSG_CMSG_CLOEXEC.
func markCloseOnExec([]int) {}
