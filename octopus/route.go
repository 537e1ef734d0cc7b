package octopus

import (
	"net/url"
	"strings"
)

// Routes of the whole server that ODCM uses. What a space owns is at [SpaceRoute].
const (
	RootRoute          = "/api"
	SpacesRoute        = "/api/spaces"
	UsersRoute         = "/api/users"
	MeRoute            = "/api/users/me"
	TasksRoute         = "/api/tasks"
	EventsRoute        = "/api/events"
	PingRoute          = "/api/octopusservernodes/ping"    // anonymous: 200, 418 when drained
	NodesRoute         = "/api/octopusservernodes/summary" // {Nodes: [...]}
	MaintenanceRoute   = "/api/maintenanceconfiguration"   // {Id: "maintenance", IsInMaintenanceMode}
	LicenceStatusRoute = "/api/licenses/licenses-current-status"
	ServerStatusRoute  = "/api/serverstatus"
)

// APIKeyHeader carries the API key, whatever its case.
const APIKeyHeader = "X-Octopus-ApiKey"

// Route returns the path of a thing of the whole server, each part escaped: Route("spaces", "Spaces-1") is
// "/api/spaces/Spaces-1". An empty part is left out.
func Route(parts ...string) string {
	var b strings.Builder
	b.WriteString(RootRoute)
	for _, part := range parts {
		if part != "" {
			b.WriteByte('/')
			b.WriteString(escape(part))
		}
	}
	return b.String()
}

// SpaceRoute returns the path of a thing of a space: SpaceRoute("Spaces-1", "environments") is
// "/api/Spaces-1/environments". With no space it means the default one, which a server may lack.
func SpaceRoute(space string, parts ...string) string {
	return Route(append([]string{space}, parts...)...)
}

// escape makes one segment of a path; "." and ".." would be taken for steps in the tree.
func escape(part string) string {
	if strings.Trim(part, ".") == "" {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	return url.PathEscape(part)
}

// Expand fills a link's template: "/api/tasks{/id}{?skip,take}" (RFC 6570; Octopus uses {x}, {/x}, {?x,y} and {&x}).
// A variable without a value leaves no trace.
func Expand(template string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		expression, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(before)
		expandExpression(&b, expression, values)
		template = after
	}
}

func expandExpression(b *strings.Builder, expression string, values map[string]string) {
	operator := byte(0)
	if expression != "" && strings.IndexByte("/?&", expression[0]) >= 0 {
		operator, expression = expression[0], expression[1:]
	}
	separator := operator
	for name := range strings.SplitSeq(expression, ",") {
		value, ok := values[name]
		if !ok || value == "" {
			continue
		}
		switch operator {
		case '?', '&':
			b.WriteByte(separator)
			b.WriteString(name + "=" + url.QueryEscape(value))
			separator = '&'
		case '/':
			b.WriteByte('/')
			b.WriteString(escape(value))
		default:
			b.WriteString(escape(value))
		}
	}
}
