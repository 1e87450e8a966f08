package setup

import (
	"strings"
	"testing"
)

func values(version string) Values {
	return Values{Version: version, MasterFile: "/run/master", PassdbFile: "/var/passdb", UserdbFile: "/var/userdb", ProxiedFile: "/var/proxied", MasterSeparator: "*",
		HookFile: "/etc/hook", Hook: "127.0.0.1:7911", Secret: "the secret"}
}

func TestTheSecretStandsInTheSecondFileAloneWhichDovecotAloneReads(t *testing.T) {
	for _, version := range []string{Dovecot23, Dovecot24} {
		files, err := Dovecot(values(version), "/etc/drop-in")
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: got %d files, %v", version, len(files), err)
		}
		if strings.Contains(files[0].Text, "the secret") || files[0].Path != "/etc/drop-in" || files[0].Mode != 0o644 {
			t.Errorf("%s: got %+v", version, files[0])
		}
		if !strings.Contains(files[1].Text, "the secret") || files[1].Mode != 0o640 || files[1].Owner != "root:dovecot" {
			t.Errorf("%s: got %+v", version, files[1])
		}
	}
}

func TestWhatAVersionCannotDoIsSaid(t *testing.T) {
	socket := values(Dovecot23)
	socket.Hook = "/run/hook.sock"
	password := values(Dovecot24)
	password.Checkpassword = "/usr/lib/checkpassword"
	for want, v := range map[string]Values{"set hook.listen": socket, "has no checkpassword": password, `"2.2" is not known`: values("2.2")} {
		if _, err := Dovecot(v, "/etc/drop-in"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestCheckpasswordTakesThePlaceOfTheGrant(t *testing.T) {
	v := values(Dovecot23)
	v.Checkpassword, v.SecretFile = "/usr/lib/checkpassword", "/etc/secret"
	files, err := Dovecot(v, "/etc/drop-in")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"args = /usr/lib/checkpassword 127.0.0.1:7911 /etc/secret\n", "vsz_limit = 0"} {
		if !strings.Contains(files[0].Text, want) {
			t.Errorf("the drop-in lacks %q", want)
		}
	}
	if strings.Contains(files[0].Text, "oauth2") || files[1].Path != "/etc/secret" || files[1].Text != "the secret\n" {
		t.Errorf("got %+v", files)
	}
}
