package live

import (
	"bytes"
	"context"
	"errors"
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
	all, err := d.AllSessions(ctx, user)
	return all[strings.ToLower(user)], err
}

// AllSessions returns where passed on sessions lead, by the name of their account in lower case. A mask bounds it where
// Dovecot can; empty asks for everybody.
func (d Dovecot) AllSessions(ctx context.Context, mask string) (map[string][]string, error) {
	verb := []string{"proxy", "list"}
	if d.Anvil {
		verb = append([]string{"who", "-1"}, strings.Fields(mask)...)
	}
	out, complaints, err := d.run(ctx, append([]string{"-f", "tab"}, verb...)...)
	if err != nil {
		return nil, fmt.Errorf("asking Dovecot whom it passes on: %w", err)
	}
	if !d.Anvil {
		if err := believable(out, complaints); err != nil {
			return nil, fmt.Errorf("asking Dovecot whom it passes on: %w", err)
		}
		if strings.TrimSpace(out) == "" {
			return nil, nil
		}
	}
	sessions, err := sessionsIn(out)
	if err != nil {
		return nil, fmt.Errorf("asking Dovecot whom it passes on: %w", err)
	}
	return sessions, nil
}

// Kick ends an account's passed on sessions, and no other: the mirror has sessions of its own.
func (d Dovecot) Kick(ctx context.Context, user string) error {
	if !d.Anvil {
		if _, _, err := d.run(ctx, "proxy", "kick", user); err != nil {
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
		if _, _, err := d.run(ctx, "kick", "-h", address, user); err != nil {
			return fmt.Errorf("ending passed on sessions of %s: %w", user, err)
		}
	}
	return nil
}

// believable tells whether an answer of 2.3 is one: doveadm ends with 0 also when it could ask nobody, or not everybody,
// and says so on standard error. No heading and no complaint is a Dovecot that has passed nobody on since its start.
func believable(out, complaints string) error {
	if strings.TrimSpace(out) == "" && complaints != "" || strings.Contains(complaints, "LIST-FULL failed") {
		return errors.New(complaints)
	}
	return nil
}

func (d Dovecot) run(ctx context.Context, args ...string) (out, complaints string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, d.Command[0], append(slices.Clone(d.Command[1:]), args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	complaints = strings.TrimSpace(stderr.String())
	if err != nil {
		err = fmt.Errorf("%w: %s", err, complaints)
	}
	return stdout.String(), complaints, err
}

// sessionsIn reads a table of doveadm: the heading names the columns, which differ between versions. 2.3 calls the
// place "dest ip", 2.4 "dest_ip" and leaves it empty for a session that is not passed on.
func sessionsIn(table string) (map[string][]string, error) {
	lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
	heading := strings.Split(lines[0], "\t")
	name, place := slices.Index(heading, "username"), slices.IndexFunc(heading, func(h string) bool { return h == "dest ip" || h == "dest_ip" })
	if name < 0 || place < 0 {
		return nil, fmt.Errorf("%q is no table of sessions", lines[0])
	}
	sessions := map[string][]string{}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) <= max(name, place) {
			return nil, fmt.Errorf("%q is no line of a table of sessions", line)
		}
		if user := strings.ToLower(cells[name]); cells[place] != "" {
			sessions[user] = append(sessions[user], cells[place])
		}
	}
	return sessions, nil
}
