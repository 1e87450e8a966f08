// Command mailstork-checkpassword is what Dovecot 2.3 runs for a passdb or userdb "checkpassword": it asks mailstork's auth
// hook. Dovecot 2.4 has no checkpassword; the password grant serves both and is the better choice where there is one.
package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"mailstork/authhook/checkpassword"
)

// passwordFile is the file descriptor on which user and password come.
const passwordFile = 3

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mailstork-checkpassword:", err)
	}
	os.Exit(code)
}

func run() (code int, err error) {
	options, err := checkpassword.Parse(os.Args[1:])
	if err != nil {
		return checkpassword.ExitTemporary, err
	}
	client, err := options.Client()
	if err != nil {
		return checkpassword.ExitTemporary, err
	}
	reply, code, err := checkpassword.Run(context.Background(), client, os.NewFile(passwordFile, "password"), os.Environ())
	if reply == nil {
		return code, err
	}
	if err := syscall.Exec(options.Reply[0], options.Reply, reply); err != nil {
		return checkpassword.ExitTemporary, fmt.Errorf("starting %s: %w", options.Reply[0], err)
	}
	return 0, nil // never comes here
}
