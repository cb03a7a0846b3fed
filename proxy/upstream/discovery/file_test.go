package discovery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/proxy/upstream"
)

func TestDecodeFile(t *testing.T) {
	t.Parallel()
	f := func(name, src, want string) {
		t.Helper()
		set, err := decode([]byte(src))
		got := describe(set)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	const one = `{"endpoints":[{"address":"10.0.0.1:80"}]}`
	f("the least", one, "10.0.0.1:80")
	f("all of it", `{"endpoints":[
  {"address": "[2001:db8::1]:443", "weight": 5, "priority": 2},
  {"address": "unix:/run/x.sock"},
  {"weight": 7, "address": "10.0.0.1:80"}
]}`, "unix:/run/x.sock 10.0.0.1:80*7 [2001:db8::1]:443*5^2")
	f("none", `{"endpoints": []}`, "")
	f("space", " \t\r\n"+one+"\n\n", "10.0.0.1:80")

	f("empty", "", "1:1: the file ends too early")
	f("cut", one[:len(one)-1], "1:41: the file ends too early")
	f("cut in a string", one[:24], "1:25: the file ends too early")
	f("not JSON", "endpoints = []", "1:1: invalid character 'e' looking for beginning of value")
	f("no comma", "{\"endpoints\":[\n  {\"address\":\"10.0.0.1:80\"}\n  {\"address\":\"10.0.0.2:80\"}\n]}", "3:3: invalid character '{' after array element")
	f("a comma too many", "{\"endpoints\":[\n  {\"address\":\"10.0.0.1:80\"},\n]}", "3:1: invalid character ']' looking for beginning of value")
	f("a comma too many in an object", "{\"endpoints\":[{\"address\":\"10.0.0.1:80\",}]}", "1:40: invalid character '}' looking for beginning of object key string")
	f("no colon", `{"endpoints" []}`, "1:14: invalid character '[' after object key")
	f("a bad escape", "{\"endpoints\":[\n{\"address\":\"\\x\"}]}", "2:14: invalid character 'x' in string escape code")
	f("a bad number", `{"endpoints":[{"weight":1x}]}`, "1:26: invalid character 'x' after object key:value pair")
	f("something behind", one+"\n{}", "2:1: invalid character '{' after top-level value")
	f("a comma behind", one+",", "1:42: invalid character ',' after top-level value")

	f("a list", `[]`, "1:1: here stands a list where an object is expected")
	f("null", `null`, "1:1: here stands null where an object is expected")
	f("an empty object", `{}`, `1:1: there is no "endpoints"`)
	f("another name", `{"endpoint":[]}`, `1:2: there is no "endpoint" here: write "endpoints"`)
	f("not a list", `{"endpoints":{}}`, "1:14: here stands an object where a list is expected")
	f("not an object", `{"endpoints":["10.0.0.1:80"]}`, `1:15: here stands the string "10.0.0.1:80" where an object is expected`)
	f("twice", `{"endpoints":[],"endpoints":[]}`, `1:17: "endpoints" stands here twice`)
	f("an address twice", "{\"endpoints\":[{\"address\":\"10.0.0.1:80\"},\n {\"address\":\"10.0.0.1:80\"}]}", "2:2: the address 10.0.0.1:80 is in the list already")
	f("no address", `{"endpoints":[{"weight":1}]}`, `1:15: the endpoint has no "address"`)
	f("misspelt", "{\"endpoints\":[{\"address\":\"10.0.0.1:80\",\n\t\"wieght\":1}]}", `2:2: there is no "wieght" in an endpoint: it has "address", "weight" and "priority"`)
	f("a name for an address", `{"endpoints":[{"address":"a.test:80"}]}`, `1:26: "a.test:80" is not an IP address with a port, such as "10.0.0.1:80" or "[2001:db8::1]:80"`)
	f("a number for an address", `{"endpoints":[{"address":80}]}`, `1:26: the address is the number 80: write a string such as "10.0.0.1:80"`)
	f("null for an address", `{"endpoints":[{"address":null}]}`, `1:26: the address is null: write a string such as "10.0.0.1:80"`)
	f("port 0", `{"endpoints":[{"address":"10.0.0.1:0"}]}`, `1:26: "10.0.0.1:0" is no address to connect to`)
	f("any address", `{"endpoints":[{"address":"[::]:80"}]}`, `1:26: "[::]:80" is no address to connect to`)
	f("zone", `{"endpoints":[{"address":"[fe80::1%eth0]:80"}]}`, `1:26: "[fe80::1%eth0]:80" has a zone, which is not supported: write an address that is not link-local`)
	f("IPv4 in IPv6", `{"endpoints":[{"address":"[::ffff:10.0.0.1]:80"}]}`, `1:26: "[::ffff:10.0.0.1]:80" is an IPv4 address in IPv6 form: write "10.0.0.1:80"`)
	f("a zone", `{"endpoints":[{"address":"[fe80::1%eth0]:80"}]}`, `1:26: "[fe80::1%eth0]:80" has a zone, which is not supported: write an address that is not link-local`)
	f("a relative path", `{"endpoints":[{"address":"unix:x.sock"}]}`, `1:26: "x.sock" is not an absolute path of at most 107 bytes`)
	f("weight 0", `{"endpoints":[{"address":"10.0.0.1:80","weight":0}]}`, fmt.Sprintf("1:49: the weight is 0: write a whole number from 1 to %d", upstream.MaxWeight))
	f("half a weight", `{"endpoints":[{"address":"10.0.0.1:80","weight":0.5}]}`, fmt.Sprintf("1:49: the weight is 0.5: write a whole number from 1 to %d", upstream.MaxWeight))
	f("a weight in quotes", `{"endpoints":[{"address":"10.0.0.1:80","weight":"1"}]}`, fmt.Sprintf("1:49: the weight is the string \"1\": write a whole number from 1 to %d", upstream.MaxWeight))
	f("a negative priority", `{"endpoints":[{"address":"10.0.0.1:80","priority":-1}]}`, "1:51: the priority is -1: write a whole number from 0 to 65535")
	f("a list for a priority", `{"endpoints":[{"address":"10.0.0.1:80","priority":[]}]}`, "1:51: the priority is a list: write a whole number from 0 to 65535")
}

// fileWith gives the text of a file with one endpoint for each port.
func fileWith(ports ...int) string {
	var list []string
	for _, p := range ports {
		list = append(list, fmt.Sprintf(`{"address":"10.0.0.1:%d"}`, p))
	}
	return `{"endpoints":[` + strings.Join(list, ",") + "]}"
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// await waits until the source tells what is wanted, past what it tells before.
func (s told) await(t *testing.T, step, want string) {
	t.Helper()
	for {
		line := s.next(t)
		if line == want {
			return
		}
		t.Logf("%s: meanwhile %s", step, line)
	}
}

// never is an interval that no test lives to see.
const never = time.Hour

func TestFileChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "endpoints.json")
	sink, _ := runSource(t, &File{Path: path, interval: never})
	sink.await(t, "no file", "failed open "+path+": no such file or directory")
	writeFile(t, path, fileWith(1))
	sink.await(t, "written", "found 10.0.0.1:1")
	writeFile(t, path, fileWith(1, 2))
	sink.await(t, "written again", "found 10.0.0.1:1 10.0.0.1:2")

	next := filepath.Join(dir, "next")
	writeFile(t, next, fileWith(3))
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	sink.await(t, "replaced", "found 10.0.0.1:3")
	writeFile(t, path, "{\n \"endpoints\": [\n  }\n")
	sink.await(t, "broken", "failed "+path+":3:3: invalid character '}' looking for beginning of value")
	writeFile(t, path, fileWith(4))
	sink.await(t, "mended", "found 10.0.0.1:4")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	sink.await(t, "removed", "failed open "+path+": no such file or directory")
	writeFile(t, path, fileWith(5))
	sink.await(t, "back", "found 10.0.0.1:5")
}

// A Kubernetes ConfigMap is a symbolic link to one in a directory that is a
// symbolic link, which is replaced.
func TestFileBehindLinksThatAreSwapped(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	version := func(name, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(mount, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(mount, name, "endpoints.json"), content)
	}
	swap := func(link, target string) {
		t.Helper()
		if err := os.Symlink(target, link+".next"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".next", link); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", fileWith(1))
	swap(filepath.Join(mount, "..data"), "..1")
	swap(filepath.Join(mount, "endpoints.json"), "..data/endpoints.json")
	// The path in the configuration is a link in another directory.
	path := filepath.Join(t.TempDir(), "endpoints.json")
	swap(path, filepath.Join(mount, "endpoints.json"))

	sink, _ := runSource(t, &File{Path: path, interval: never})
	sink.await(t, "at first", "found 10.0.0.1:1")
	version("..2", fileWith(2))
	swap(filepath.Join(mount, "..data"), "..2")
	sink.await(t, "the directory's link", "found 10.0.0.1:2")
	writeFile(t, filepath.Join(mount, "..2", "endpoints.json"), fileWith(3))
	sink.await(t, "in place, behind the links", "found 10.0.0.1:3")
	other := filepath.Join(t.TempDir(), "other.json")
	writeFile(t, other, fileWith(4))
	swap(path, other)
	sink.await(t, "the first link", "found 10.0.0.1:4")
	writeFile(t, other, fileWith(5))
	sink.await(t, "in place, elsewhere", "found 10.0.0.1:5")
}

// A directory on the way to the file that is a symbolic link is replaced, as
// when a release is made the current one.
func TestFileInADirectoryThatIsALink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	link := func(to string) {
		t.Helper()
		next := filepath.Join(root, "next")
		if err := os.Symlink(to, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(root, "current")); err != nil {
			t.Fatal(err)
		}
	}
	for port := 1; port <= 3; port++ {
		dir := filepath.Join(root, fmt.Sprint("release", port), "etc")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "endpoints.json"), fileWith(port))
	}
	link("release1")
	sink, _ := runSource(t, &File{Path: filepath.Join(root, "current", "etc", "endpoints.json"), interval: never})
	sink.await(t, "at first", "found 10.0.0.1:1")
	link("release2")
	sink.await(t, "the second release", "found 10.0.0.1:2")
	link(filepath.Join(root, "release3"))
	sink.await(t, "the third, by its whole path", "found 10.0.0.1:3")
}

// The directories that are watched, of every kind of path.
func TestDirectoriesOnTheWay(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"to-a": "a", "twice": "to-a", "a/up": "..", "a/b/file": "/nowhere/at-all", "loop": "loop/x", "dangling": "gone/away",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(path string, want ...string) {
		t.Helper()
		for i, dir := range want {
			if !filepath.IsAbs(dir) {
				want[i] = filepath.Join(root, dir)
			}
		}
		got := directoriesOf(filepath.Join(root, path))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	f("a/b/endpoints.json", "a/b")
	f("to-a/b/endpoints.json", "", "a/b")
	f("twice/b/endpoints.json", "", "a/b")
	f("a/up/a/b/endpoints.json", "a", "a/b")
	f("a/b/file", "a/b", "/nowhere")
	f("dangling/file", "", "gone/away")
	f("none/at/all", "none/at")
	f("loop", "")
}

// Without notices the file is looked at all the same: its directory was not
// there, or has been replaced.
func TestFileInADirectoryThatComesLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "endpoints.json")
	sink, _ := runSource(t, &File{Path: path, interval: 10 * time.Millisecond})
	sink.await(t, "no directory", "failed open "+path+": no such file or directory")
	for port := 1; port <= 2; port++ {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, fileWith(port))
		sink.await(t, "a directory", fmt.Sprintf("found 10.0.0.1:%d", port))
		if err := os.Rename(dir, fmt.Sprintf("%s.%d", dir, port)); err != nil {
			t.Fatal(err)
		}
		sink.await(t, "no directory", "failed open "+path+": no such file or directory")
	}
}

// What goes on in the directory beside the file neither reads it again nor
// keeps a change from being seen.
func TestFileInABusyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "endpoints.json")
	writeFile(t, path, fileWith(1))
	sink, _ := runSource(t, &File{Path: path, interval: never})
	sink.await(t, "at first", "found 10.0.0.1:1")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			os.WriteFile(filepath.Join(dir, "log"), []byte("x"), 0o600)
			select {
			case <-stop:
				return
			case <-time.After(settleTime / 10):
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	writeFile(t, path, fileWith(2))
	for found := ""; found != "found 10.0.0.1:2"; {
		if found = sink.next(t); found != "found 10.0.0.1:2" && found != "found 10.0.0.1:1" {
			t.Fatalf("found %q", found)
		}
	}
	if len(sink) > 1 { // one more look at what was just written is allowed
		t.Errorf("the file was read %d times more", len(sink))
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := func(name, path, want string) {
		t.Helper()
		_, _, err := readFile(path)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	f("a directory", dir, dir+" is not a file")
	large := filepath.Join(dir, "large")
	writeFile(t, large, "")
	if err := os.Truncate(large, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	f("a large one", large, large+" is larger than 16 MiB")
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	f("a loop of links", loop, "open "+loop+": too many levels of symbolic links")
}

// FuzzFile: what is understood can be used as it stands, and says the same when
// it is written again.
func FuzzFile(f *testing.F) {
	f.Add([]byte(fileWith(1, 2)))
	f.Add([]byte(`{"endpoints":[{"address":"unix:/x","weight":2,"priority":3}]}`))
	f.Add([]byte(`{"endpoints":[{"address":"[::1]:1"},]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		set, err := decode(src)
		if err != nil {
			if b, ok := err.(*broken); !ok || b.line < 1 || b.column < 1 || b.line > strings.Count(string(src), "\n")+1 {
				t.Errorf("the place of %#v", err)
			}
			return
		}
		again := `{"endpoints":[`
		for i, e := range set {
			if e.Weight < 1 || e.Weight > upstream.MaxWeight || e.Priority < 0 || e.Address.AddrPort.IsValid() == (e.Address.Path != "") {
				t.Errorf("cannot be used: %+v", e)
			}
			if i > 0 {
				again += ","
			}
			again += fmt.Sprintf(`{"address":%s,"weight":%d,"priority":%d}`, jsonString(e.Address.String()), e.Weight, e.Priority)
		}
		other, err := decode([]byte(again + "]}"))
		if err != nil || describe(other) != describe(set) {
			t.Errorf("%s is %s, %v; at first %s", again, describe(other), err, describe(set))
		}
	})
}

func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < ' ' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String() + `"`
}

// FuzzHosts: whatever stands in the file, no address comes out that cannot be
// connected to.
func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost # here\n::1 localhost", "localhost")
	f.Add("::ffff:1.2.3.4\tA.test.\r\n", "a.TEST")
	f.Add("fe80::1%lo0 localhost", "localhost")
	f.Fuzz(func(t *testing.T, content, host string) {
		for _, ip := range readHosts(strings.NewReader(content), host) {
			if !ip.IsValid() || ip.Is4In6() || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
				t.Errorf("the address %s", ip)
			}
		}
	})
}
