package simulate

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Behaviour is how a server acts.
type Behaviour string

// The behaviours.
const (
	Well        Behaviour = "well"
	Kill        Behaviour = "kill"        // connections are cut, also new ones
	Hang        Behaviour = "hang"        // requests are taken and not answered
	Slow        Behaviour = "slow"        // answers come after a second and a half
	Drip        Behaviour = "drip"        // an answer comes byte by byte and never ends
	Page        Behaviour = "html"        // everything is answered with a web page
	Redirect    Behaviour = "redirect"    // everything redirects elsewhere
	Limit       Behaviour = "429"         // everything is refused with Retry-After
	Drain       Behaviour = "drain"       // the node drains
	Maintenance Behaviour = "maintenance" // the server is in maintenance mode
)

var behaviours = []Behaviour{Well, Kill, Hang, Slow, Drip, Page, Redirect, Limit, Drain, Maintenance}

// server is one that is played.
type server struct {
	number int
	url    string

	mu    sync.Mutex
	acts  Behaviour // "" is Well
	conns map[net.Conn]struct{}
}

func (v *server) behaviour() Behaviour {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.acts == "" {
		return Well
	}
	return v.acts
}

// act changes how the server acts and tells whether that is new. One that is killed loses its connections.
func (v *server) act(b Behaviour) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if was := v.acts; was == b || was == "" && b == Well {
		return false
	}
	v.acts = b
	if b == Kill {
		for c := range v.conns {
			reset(c)
		}
	}
	return true
}

func (v *server) join(c net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns == nil {
		v.conns = map[net.Conn]struct{}{}
	}
	v.conns[c] = struct{}{}
}

func (v *server) leave(c net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, c)
}

// reply is an answer; header is ready lines.
type reply struct {
	status       int
	kind, header string
	body         string
}

func refuse(status int, message string) reply {
	return reply{status: status, body: fmt.Sprintf(`{"ErrorMessage":%q,"Errors":[]}`, message)}
}

// version is spread over a few, as in life.
func (v *server) version() string {
	return [...]string{"2025.4.10333", "2025.4.9812", "2025.2.7727", "2024.3.13054"}[v.number%4]
}

// reply answers as an Octopus server does, as far as monitoring and reports ask.
func (s *Simulator) reply(v *server, path string, r *http.Request) reply {
	acts := v.behaviour()
	switch acts {
	case Page:
		return reply{status: http.StatusOK, kind: "text/html; charset=utf-8", body: "<!doctype html><title>Sign in</title><p>Sign in to go on."}
	case Redirect:
		return reply{status: http.StatusFound, header: "Location: https://elsewhere.example/sign-in\r\n", body: "{}"}
	case Limit:
		a := refuse(http.StatusTooManyRequests, "Too many requests.")
		a.header = "Retry-After: 30\r\n"
		return a
	}
	switch {
	case path == "/api/octopusservernodes/ping":
		if acts == Drain {
			return reply{status: http.StatusTeapot, body: "{}"}
		}
		return reply{status: http.StatusOK, body: "{}"}
	case path == "/api":
		return reply{status: http.StatusOK, body: fmt.Sprintf(`{"Application":"Octopus Deploy","Version":%q,"ApiVersion":"3.0.0",`+
			`"InstallationId":"00000000-0000-4000-8000-%012d","Links":{"Self":"/api"}}`, v.version(), v.number)}
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "A simulated server changes nothing.")
	case r.Header.Get("X-Octopus-ApiKey") != s.o.APIKey:
		return refuse(http.StatusUnauthorized, "The API key you provided was not valid.")
	}
	return s.known(v, strings.TrimPrefix(path, "/api/"), acts, r.URL.Query())
}

// known answers those whose key is accepted.
func (s *Simulator) known(v *server, path string, acts Behaviour, query url.Values) reply {
	path = strings.TrimPrefix(path, "Spaces-1/")
	ok := func(format string, args ...any) reply {
		return reply{status: http.StatusOK, body: fmt.Sprintf(format, args...)}
	}
	switch path {
	case "users/me":
		return ok(`{"Id":"Users-1","Username":"simulated","DisplayName":"Simulated","IsActive":true,"IsService":true}`)
	case "maintenanceconfiguration":
		return ok(`{"Id":"maintenance","IsInMaintenanceMode":%t}`, acts == Maintenance)
	case "octopusservernodes/summary":
		return ok(`{"Nodes":[{"Id":"OctopusServerNodes-%04d","Name":"node-%04d","IsLeader":true,"IsOffline":false,"IsInMaintenanceMode":%t,`+
			`"MaxConcurrentTasks":5,"RunningTaskCount":0,"LastSeen":%q}]}`, v.number, v.number, acts == Drain, time.Now().UTC().Format(time.RFC3339))
	case "licenses/licenses-current-status":
		return ok(`{"LicenseKind":"CommercialLicense","IsCompliant":true,"DaysToEffectiveExpiryDate":%d,"Limits":[`+
			`{"Name":"Projects","EffectiveLimit":100,"CurrentUsage":%d},{"Name":"Targets","EffectiveLimit":500,"CurrentUsage":%d}]}`,
			30+v.number%300, v.number%100, v.number%450)
	case "spaces", "spaces/all":
		items := `{"Id":"Spaces-1","Name":"Default","Slug":"default","IsDefault":true,"TaskQueueStopped":false}`
		if path == "spaces" {
			return ok(`{"ItemType":"Space","TotalResults":1,"ItemsPerPage":30,"Items":[%s]}`, items)
		}
		return ok(`[%s]`, items)
	case "events":
		return s.events(v, query)
	}
	if strings.HasSuffix(path, "/all") {
		return ok(`[]`)
	}
	return ok(`{"ItemType":"","TotalResults":0,"ItemsPerPage":30,"NumberOfPages":1,"LastPageNumber":0,"Items":[]}`)
}

// eventEvery is how often something was deployed on each server.
const eventEvery = time.Minute

type event struct {
	ID       string    `json:"Id"`
	AutoID   int64     `json:"AutoId"`
	Category string    `json:"Category"`
	Username string    `json:"Username"`
	SpaceID  string    `json:"SpaceId"`
	Occurred time.Time `json:"Occurred"`
	Message  string    `json:"Message"`
	Related  []string  `json:"RelatedDocumentIds"`
}

// events lists deployments, the newest first, after fromAutoId where that is asked for.
func (s *Simulator) events(v *server, query url.Values) reply {
	number := func(name string, otherwise int64) int64 {
		n, err := strconv.ParseInt(query.Get(name), 10, 64)
		if err != nil || n < 0 {
			return otherwise
		}
		return n
	}
	from, take, skip := number("fromAutoId", 0), min(number("take", 30), 1000), number("skip", 0)
	last := int64(time.Since(s.began) / eventEvery)
	items := []event{}
	for id := last - skip; id > from && int64(len(items)) < take; id-- {
		e := event{ID: fmt.Sprintf("Events-%d", id), AutoID: id, Category: "DeploymentSucceeded", Username: "simulated", SpaceID: "Spaces-1",
			Occurred: s.began.Add(time.Duration(id) * eventEvery).UTC().Truncate(time.Second), Related: []string{"Projects-1", "Environments-1", fmt.Sprintf("Deployments-%d", id)}}
		if mix(s.o.Seed, uint64(v.number), uint64(id))%10 == 0 {
			e.Category = "DeploymentFailed"
		}
		e.Message = "Deploy to Production: " + e.Category
		items = append(items, e)
	}
	body, err := json.Marshal(struct {
		ItemType     string
		TotalResults int64
		ItemsPerPage int64
		Items        []event
	}{"Event", max(last-from, 0), take, items})
	if err != nil {
		return refuse(http.StatusInternalServerError, err.Error())
	}
	return reply{status: http.StatusOK, body: string(body)}
}

// mix makes one number of several, the same each time.
func mix(numbers ...uint64) (h uint64) {
	for _, n := range numbers {
		h = (h ^ n) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}
