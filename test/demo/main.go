// Command demo tells the product's story on real servers: an old provider, this server's Dovecot and Postfix, private
// DNS, and the mailstork daemon between them. It checks every step itself and exits 0 only if all held.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

const (
	domain = "stork.example"
	anna   = "anna@" + domain
	bob    = "bob@" + domain
)

// people are the accounts at the old provider. The passwords are theirs there; nobody tells them to mailstork.
var people = map[string]string{anna: "annas old password", bob: "bobs old password"}

func main() {
	binary := flag.String("binary", "bin/mailstork", "the mailstork program")
	keep := flag.Bool("keep", false, "leave everything running until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, keep bool) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stork-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Dovecot's users must get through
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newStory(dir, binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.site.Close()) }()
	if err := s.tell(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "\nthe daemon's last words:\n%s\n", s.site.LogTail(15))
		return err
	}
	if keep {
		s.invite()
		<-ctx.Done()
	}
	return nil
}

func newStory(dir, binary string) (*story, error) {
	lab, err := testbed.New(dir)
	if err != nil {
		return nil, err
	}
	s := &story{began: time.Now()}
	fmt.Printf("mailstork demo: everything below runs on loopback, in %s\n\n", dir)
	s.site, err = site.Start(lab, site.Options{Binary: binary, Domain: domain, People: people, Postfix: true,
		Prepare: func(lab *testbed.Lab, o *site.Options) (err error) {
			s.world, err = site.StartDNS(lab, domain)
			if err == nil {
				o.Config = map[string]map[string]any{"dns": s.world.Config(), "cutover": {
					"check_interval_seconds": 1, "agree_observations": 3, "observation_interval_seconds": 1, "grace_seconds": 1,
					"quiet_seconds": 4, "deadline_hours": 1}}
			}
			return err
		}})
	if err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	return s, nil
}
