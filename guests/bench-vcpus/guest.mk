$(eval $(call guest,bench-vcpus,smp64))
