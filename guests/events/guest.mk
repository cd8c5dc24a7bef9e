$(eval $(call guest,events,smp64))
