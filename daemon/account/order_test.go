package account

import "testing"

func TestOrdersAreKeptOnceAndTheLaterWordAboutParkedMessagesCounts(t *testing.T) {
	o := Orders("").With(Approve).With(CopyParked).With(Approve).With(LeaveParked)
	if o != "approve leave-parked" || !o.Has(Approve) || o.Has(CopyParked) || !o.Has(LeaveParked) {
		t.Errorf("orders are %q", o)
	}
	if o = o.With(CopyParked); o.Has(LeaveParked) || !o.Has(CopyParked) {
		t.Errorf("after the later word they are %q", o)
	}
	if o = o.Without(Approve, CopyParked); o != "" {
		t.Errorf("when all are obeyed they are %q", o)
	}
}
