package server

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMessagesLinkWhatTheyName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, want string }{
		"a project":                  {`{"Message":"Project Web was changed","SpaceId":"Spaces-1","MessageReferences":[{"ReferencedDocumentId":"Projects-1","StartIndex":8,"Length":3}]}`, "Project [Web /app/Spaces-1/projects/Projects-1] was changed"},
		"letters beyond ASCII":       {`{"Message":"Täm Ü made","MessageReferences":[{"ReferencedDocumentId":"Teams-2","StartIndex":5,"Length":2}]}`, "Täm [Ü /people/teams/Teams-2] made"},
		"what is gone":               {`{"Category":"Deleted","Message":"Project Web was deleted","SpaceId":"Spaces-1","MessageReferences":[{"ReferencedDocumentId":"Projects-1","StartIndex":8,"Length":3}]}`, "Project Web was deleted"},
		"places that do not fit":     {`{"Message":"Web","SpaceId":"Spaces-1","MessageReferences":[{"ReferencedDocumentId":"Projects-1","StartIndex":2,"Length":9},{"ReferencedDocumentId":"Projects-1","StartIndex":-1,"Length":1},{"ReferencedDocumentId":"Projects-1","StartIndex":1,"Length":-5}]}`, "Web"},
		"kinds that have no page":    {`{"Message":"Proxy P","SpaceId":"Spaces-1","MessageReferences":[{"ReferencedDocumentId":"Proxies-1","StartIndex":6,"Length":1}]}`, "Proxy P"},
		"documents without a space":  {`{"Message":"Project Web","MessageReferences":[{"ReferencedDocumentId":"Projects-1","StartIndex":8,"Length":3}]}`, "Project Web"},
		"places that lie in another": {`{"Message":"Project Web","SpaceId":"Spaces-1","MessageReferences":[{"ReferencedDocumentId":"Projects-1","StartIndex":8,"Length":3},{"ReferencedDocumentId":"Projects-2","StartIndex":9,"Length":1}]}`, "Project [Web /app/Spaces-1/projects/Projects-1]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e event
			if err := json.Unmarshal([]byte(test.event), &e); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, p := range e.pieces() {
				if p.href != "" {
					b.WriteString("[" + p.text + " " + p.href + "]")
				} else {
					b.WriteString(p.text)
				}
			}
			if b.String() != test.want {
				t.Errorf("got %q, want %q", b.String(), test.want)
			}
		})
	}
}
