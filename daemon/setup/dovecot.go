package setup

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"text/template"
)

//go:embed dovecot
var texts embed.FS

// The versions of Dovecot whose configuration is known; their settings have different names.
const (
	Dovecot23 = "2.3" // Debian 12
	Dovecot24 = "2.4" // Debian 13
)

// SessionNetwork is where the daemon's own sessions at Dovecot come from (docs/adr/0002).
const SessionNetwork = "127.77.0.1/32"

// Values are what the texts depend on.
type Values struct {
	Version                            string // Dovecot23 or Dovecot24
	MasterFile, PassdbFile, UserdbFile string
	ProxiedFile                        string // accounts whose sessions are passed on to their source
	// ProxyCAFile has the authorities that those sources are verified against; empty for none.
	ProxyCAFile     string
	MasterSeparator string
	HookFile        string // where the second file will lie
	Hook            string // host:port, or (2.4 only) the path of a Unix socket
	Secret          string // the hook's client_secret, or what stands in its place
	// Checkpassword is the program of that passdb, in place of the password grant (2.3 only); SecretFile a copy of the
	// client_secret that Dovecot may read.
	Checkpassword, SecretFile string
}

// File is one file of the configuration.
type File struct {
	Path  string
	Mode  fs.FileMode
	Owner string
	Text  string
}

// Dovecot returns the drop-in, and the file with the hook's client_secret, which Dovecot's auth process alone should read.
func Dovecot(v Values, dropIn string) (files []File, err error) {
	address, socket := v.Hook, ""
	if strings.HasPrefix(v.Hook, "/") {
		address, socket = "", v.Hook
	}
	switch {
	case v.Version != Dovecot23 && v.Version != Dovecot24:
		return nil, fmt.Errorf("writing Dovecot's configuration: version %q is not known, only %s and %s", v.Version, Dovecot23, Dovecot24)
	case v.Version == Dovecot23 && socket != "" && v.Checkpassword == "":
		return nil, fmt.Errorf("writing Dovecot's configuration: Dovecot 2.3 can't ask a hook at the Unix socket %s; set hook.listen to a loopback address with port", socket)
	case v.Version == Dovecot24 && v.Checkpassword != "":
		return nil, fmt.Errorf("writing Dovecot's configuration: Dovecot 2.4 has no checkpassword any more; it has the password grant")
	}
	if socket != "" && v.Checkpassword != "" {
		address = socket
	}
	data := struct {
		Values
		HookAddress, HookSocket, SessionNetwork string
	}{v, address, socket, SessionNetwork}
	text, err := fill("drop-in-"+v.Version+".conf", data)
	if err != nil {
		return nil, err
	}
	files = append(files, File{Path: dropIn, Mode: 0o644, Owner: "root:root", Text: text})
	if v.Checkpassword != "" {
		return append(files, File{Path: v.SecretFile, Mode: 0o640, Owner: "root:dovecot", Text: v.Secret + "\n"}), nil
	}
	text, err = fill("hook-"+v.Version+".conf", data)
	return append(files, File{Path: v.HookFile, Mode: 0o640, Owner: "root:dovecot", Text: text}), err
}

func fill(name string, data any) (string, error) {
	parsed, err := template.New(name).Option("missingkey=error").ParseFS(texts, "dovecot/"+name)
	if err != nil {
		return "", fmt.Errorf("writing Dovecot's configuration: %w", err)
	}
	var text strings.Builder
	if err := parsed.Execute(&text, data); err != nil {
		return "", fmt.Errorf("writing Dovecot's configuration: %w", err)
	}
	return text.String(), nil
}
