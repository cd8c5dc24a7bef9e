$(eval $(call guest,chaos,smp64))
