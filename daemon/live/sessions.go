package live

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Dovecot is asked for the sessions that it passes on, by doveadm.
type Dovecot struct {
	Command []string // doveadm up to its verb
	// Anvil: Dovecot 2.4 and later, whose anvil knows them. 2.3 asks its login processes, through the socket "ipc".
	Anvil bool
}

// Sessions returns where an account's passed on sessions lead, one entry for each.
func (d Dovecot) Sessions(ctx context.Context, user string) ([]string, error) {
	verb := []string{"proxy", "list"}
	if d.Anvil {
		verb = []string{"who", "-1", user}
	}
	out, err := d.run(ctx, append([]string{"-f", "tab"}, verb...)...)
	if err != nil {
		return nil, fmt.Errorf("asking Dovecot whom it passes on: %w", err)
	}
	sessions, err := sessionsIn(out, user)
	if err != nil {
		return nil, fmt.Errorf("asking Dovecot whom it passes on: %w", err)
	}
	return sessions, nil
}

// Kick ends an account's passed on sessions, and no other: the mirror has sessions of its own.
func (d Dovecot) Kick(ctx context.Context, user string) error {
	if !d.Anvil {
		if _, err := d.run(ctx, "proxy", "kick", user); err != nil {
			return fmt.Errorf("ending passed on sessions of %s: %w", user, err)
		}
		return nil
	}
	sessions, err := d.Sessions(ctx, user)
	if err != nil {
		return err
	}
	slices.Sort(sessions)
	for _, address := range slices.Compact(sessions) {
		if _, err := d.run(ctx, "kick", "-h", address, user); err != nil {
			return fmt.Errorf("ending passed on sessions of %s: %w", user, err)
		}
	}
	return nil
}

func (d Dovecot) run(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, d.Command[0], append(slices.Clone(d.Command[1:]), args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// sessionsIn reads a table of doveadm: the heading names the columns, which differ between versions. 2.3 calls the
// place "dest ip", 2.4 "dest_ip" and leaves it empty for a session that is not passed on.
func sessionsIn(table, user string) (destinations []string, err error) {
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	heading := strings.Split(lines[0], "\t")
	name, place := slices.Index(heading, "username"), slices.IndexFunc(heading, func(h string) bool { return h == "dest ip" || h == "dest_ip" })
	if name < 0 || place < 0 {
		return nil, fmt.Errorf("%q is no table of sessions", lines[0])
	}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) <= max(name, place) {
			return nil, fmt.Errorf("%q is no line of a table of sessions", line)
		}
		if strings.EqualFold(cells[name], user) && cells[place] != "" {
			destinations = append(destinations, cells[place])
		}
	}
	return destinations, nil
}
