$(eval $(call guest,measure,smp64))
